package io.weft.model;

import io.weft.device.ElementType;
import io.weft.device.QuantisedTensor;
import io.weft.device.WeightCode;
import io.weft.device.WeightEncoding;
import io.weft.device.WeightEncoding.Zero;
import io.weft.model.WeightScheme.Block;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * Finds the tensors that make up a quantised weight, and checks them. Every error names the tensor.
 *
 * @param directory for messages
 * @param quantisation what the configuration says
 * @param files a tensor by name
 */
record QuantisedReader(Path directory, Quantisation quantisation, Function<String, Optional<StoredTensor>> files) {
    private static final String INT32 = "I32";
    private static final int WORD_BITS = 32;
    private static final int MXFP4_GROUP = 32;

    /**
     * A module's weight.
     *
     * @param name as a plain weight has it: {@code model.layers.0.self_attn.q_proj.weight}; of stacked experts without
     *     the suffix
     * @return empty if the files have no quantised weight for it
     * @throws ModelLoadException if they have one that cannot be read
     */
    Optional<QuantisedTensor> tensor(String name) {
        String module = TensorNames.module(name);
        return switch (quantisation.scheme(module)) {
            case WeightScheme.Plain plain -> Optional.empty();
            case WeightScheme.Scaled scaled ->
                files.apply(name)
                        .filter(codes -> codes.type().equals(fileType(scaled.code())))
                        .map(codes -> scaled(name, module, scaled, codes));
            case WeightScheme.Packed packed ->
                files.apply(module + ".weight_packed").map(codes -> packed(name, module, packed, codes));
            case WeightScheme.Gptq gptq ->
                files.apply(module + ".qweight").map(codes -> gptq(name, module, gptq, codes));
            case WeightScheme.Awq awq -> files.apply(module + ".qweight").map(codes -> awq(name, module, awq, codes));
            case WeightScheme.Mxfp4 mxfp4 -> files.apply(name + "_blocks").map(codes -> mxfp4(name, codes));
        };
    }

    private static String fileType(WeightCode code) {
        return switch (code) {
            case FP8_E4M3 -> "F8_E4M3";
            case INT8 -> "I8";
            case INT4, FP4_E2M1 -> throw new IllegalStateException("no element type of a file is " + code);
        };
    }

    private QuantisedTensor scaled(String name, String module, WeightScheme.Scaled scheme, StoredTensor codes) {
        requireMatrix(codes, codes.type());
        int rows = codes.shape().get(0);
        int columns = codes.shape().get(1);
        StoredTensor scales = files.apply(module + ".weight_scale_inv")
                .or(() -> files.apply(module + ".weight_scale"))
                .orElseThrow(() ->
                        new ModelLoadException(directory, "has no tensor " + module + ".weight_scale of " + name));
        Grid grid = scheme.block()
                .map(block -> blocks(scales, block, rows, columns))
                .orElseGet(() -> grid(scales, rows, columns));
        WeightEncoding encoding =
                new WeightEncoding(scheme.code(), grid.blockColumns(), Zero.MIDDLE, scaleType(scales));
        int flip = scheme.code() == WeightCode.INT8 ? scheme.code().middle() : 0;
        return new QuantisedTensor(
                name, rows, columns, encoding, new QuantisedSources.Bytes(codes, columns, flip, grid));
    }

    /** Scales of blocks: (⌈rows / block rows⌉, ⌈columns / block columns⌉). */
    private Grid blocks(StoredTensor scales, Block block, int rows, int columns) {
        int across = Math.ceilDiv(columns, block.columns());
        requireShape(scales, List.of(Math.ceilDiv(rows, block.rows()), across));
        return new Grid(scales, block.rows(), Math.min(block.columns(), columns), across);
    }

    /** Scales of the matrix, of rows (rows, 1), or of groups (rows, groups). */
    private Grid grid(StoredTensor scales, int rows, int columns) {
        if (scales.elements() == 1) {
            return new Grid(scales, rows, columns, 1);
        }
        int groups = scales.shape().size() == 2 ? scales.shape().get(1) : 1;
        if (groups < 1
                || scales.shape().getFirst() != rows
                || scales.elements() != (long) rows * groups
                || columns % groups != 0) {
            throw wrongShape(scales, "[%d, groups] with %d as a multiple of groups".formatted(rows, columns));
        }
        return new Grid(scales, 1, columns / groups, groups);
    }

    private QuantisedTensor packed(String name, String module, WeightScheme.Packed scheme, StoredTensor codes) {
        requireMatrix(codes, INT32);
        int rows = codes.shape().getFirst();
        int perWord = WORD_BITS / scheme.code().bits();
        StoredTensor shape = required(module + ".weight_shape");
        if (!shape.type().equals("I64") || shape.elements() != 2) {
            throw new ModelLoadException(directory, "tensor %s is no I64 of two numbers".formatted(shape.name()));
        }
        long columns = shape.word(2);
        if (shape.word(0) != rows
                || Math.ceilDiv(columns, (long) perWord) != codes.shape().get(1)) {
            throw wrongShape(codes, "[rows, words] of weight_shape [%d, %d]".formatted(shape.word(0), columns));
        }
        StoredTensor scales = required(module + ".weight_scale");
        Grid grid = grid(scales, rows, (int) columns);
        requireInPlace(module + ".weight_g_idx", grid.blockColumns());
        Optional<StoredTensor> zeros = files.apply(module + ".weight_zero_point");
        zeros.ifPresent(tensor -> {
            requireMatrix(tensor, INT32);
            requireShape(tensor, List.of(Math.ceilDiv(rows, perWord), grid.across()));
        });
        WeightEncoding encoding = new WeightEncoding(
                scheme.code(), grid.blockColumns(), zeros.isPresent() ? Zero.GROUP : Zero.MIDDLE, scaleType(scales));
        return new QuantisedTensor(
                name,
                rows,
                (int) columns,
                encoding,
                new QuantisedSources.RowWords(codes, encoding.rowBytes((int) columns), grid, zeros, scheme.code()));
    }

    private QuantisedTensor gptq(String name, String module, WeightScheme.Gptq scheme, StoredTensor codes) {
        requireMatrix(codes, INT32);
        int perWord = WORD_BITS / scheme.code().bits();
        int columns = Math.multiplyExact(codes.shape().get(0), perWord);
        int rows = codes.shape().get(1);
        int group = Math.min(scheme.groupColumns().orElse(columns), columns);
        requireInPlace(module + ".g_idx", group);
        WeightEncoding encoding = columnMajor(module, scheme.code(), rows, columns, group);
        return new QuantisedTensor(
                name,
                rows,
                columns,
                encoding,
                new QuantisedSources.ColumnWords(
                        codes,
                        required(module + ".scales"),
                        required(module + ".qzeros"),
                        scheme.code(),
                        scheme.zeroOffset(),
                        encoding.groups(columns)));
    }

    private QuantisedTensor awq(String name, String module, WeightScheme.Awq scheme, StoredTensor codes) {
        requireMatrix(codes, INT32);
        int columns = codes.shape().get(0);
        int rows = Math.multiplyExact(codes.shape().get(1), WORD_BITS / WeightCode.INT4.bits());
        int group = Math.min(scheme.groupColumns().orElse(columns), columns);
        if (columns % (WORD_BITS / WeightCode.INT4.bits()) != 0) {
            throw wrongShape(codes, "a multiple of 8 as its first extent");
        }
        WeightEncoding encoding = columnMajor(module, WeightCode.INT4, rows, columns, group);
        return new QuantisedTensor(
                name,
                rows,
                columns,
                encoding,
                new QuantisedSources.Interleaved(
                        codes, required(module + ".scales"), required(module + ".qzeros"), encoding.groups(columns)));
    }

    /** Scales (groups, rows) and zeros (groups, words of rows). */
    private WeightEncoding columnMajor(String module, WeightCode code, int rows, int columns, int group) {
        StoredTensor scales = required(module + ".scales");
        StoredTensor zeros = required(module + ".qzeros");
        int groups = Math.ceilDiv(columns, group);
        requireMatrix(zeros, INT32);
        requireShape(scales, List.of(groups, rows));
        requireShape(zeros, List.of(groups, Math.ceilDiv(rows * code.bits(), WORD_BITS)));
        return new WeightEncoding(code, group, Zero.GROUP, scaleType(scales));
    }

    /** (experts, rows, groups, 16) bytes, and (experts, rows, groups) exponents; the experts become one matrix. */
    private QuantisedTensor mxfp4(String name, StoredTensor codes) {
        List<Integer> shape = codes.shape();
        if (!codes.type().equals("U8") || shape.size() != 4 || shape.getLast() != MXFP4_GROUP / 2) {
            throw wrongShape(codes, "[experts, rows, groups, 16] of U8");
        }
        StoredTensor scales = required(name + "_scales");
        requireShape(scales, shape.subList(0, 3));
        if (!scales.type().equals("U8") && !scales.type().equals("F8_E8M0")) {
            throw new ModelLoadException(
                    directory, "tensor %s has dtype %s, must be U8".formatted(scales.name(), scales.type()));
        }
        int rows = Math.multiplyExact(shape.get(0), shape.get(1));
        int groups = shape.get(2);
        int columns = Math.multiplyExact(groups, MXFP4_GROUP);
        WeightEncoding encoding = new WeightEncoding(WeightCode.FP4_E2M1, MXFP4_GROUP, Zero.MIDDLE, ElementType.BF16);
        return new QuantisedTensor(
                name,
                rows,
                columns,
                encoding,
                new QuantisedSources.Bytes(codes, columns / 2, 0, new Grid(scales, 1, MXFP4_GROUP, groups)));
    }

    /** Refuses columns whose groups are not in order, as with activation ordering. */
    private void requireInPlace(String name, int group) {
        files.apply(name).ifPresent(order -> {
            if (!order.type().equals(INT32)) {
                throw new ModelLoadException(
                        directory, "tensor %s has dtype %s, must be I32".formatted(name, order.type()));
            }
            for (int k = 0; k < order.elements(); k++) {
                if (order.word(k) != k / group) {
                    throw new ModelLoadException(
                            directory,
                            ("tensor %s puts column %d into group %d, must be %d: weights in the order of activations"
                                            + " (desc_act, actorder) cannot be read")
                                    .formatted(name, k, order.word(k), k / group));
                }
            }
        });
    }

    private StoredTensor required(String name) {
        return files.apply(name).orElseThrow(() -> new ModelLoadException(directory, "has no tensor " + name));
    }

    private ElementType scaleType(StoredTensor scales) {
        return scales.scaleType()
                .orElseThrow(() -> new ModelLoadException(
                        directory,
                        "tensor %s has dtype %s; scales of F32, F16, BF16 and F8_E8M0 can be read"
                                .formatted(scales.name(), scales.type())));
    }

    private void requireMatrix(StoredTensor tensor, String type) {
        if (!tensor.type().equals(type)) {
            throw new ModelLoadException(
                    directory, "tensor %s has dtype %s, must be %s".formatted(tensor.name(), tensor.type(), type));
        }
        if (tensor.shape().size() != 2) {
            throw wrongShape(tensor, "two extents");
        }
    }

    private void requireShape(StoredTensor tensor, List<Integer> shape) {
        if (!tensor.shape().equals(shape)) {
            throw wrongShape(tensor, shape.toString());
        }
    }

    private ModelLoadException wrongShape(StoredTensor tensor, String wanted) {
        return new ModelLoadException(
                directory, "tensor %s has shape %s, must have %s".formatted(tensor.name(), tensor.shape(), wanted));
    }

    /**
     * Scales of blocks.
     *
     * @param scales row-major, {@code across} in a row
     * @param blockRows rows that share a scale
     * @param blockColumns columns that share a scale
     */
    record Grid(StoredTensor scales, int blockRows, int blockColumns, int across) {}
}
