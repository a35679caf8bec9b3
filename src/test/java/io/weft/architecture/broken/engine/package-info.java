/** Described, as every package of Weft is. */
@NullMarked
package io.weft.architecture.broken.engine;

import org.jspecify.annotations.NullMarked;
