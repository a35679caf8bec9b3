// All kernels in one translation unit, which becomes the resource weft/cuda/kernels.fatbin.
#include "pointwise.cuh"

#include "product.cuh"

#include "quantised.cuh"

#include "attention.cuh"

#include "sampling.cuh"

#include "experts.cuh"

#include "quantised_experts.cuh"

#include "blocks.cuh"
