/**
 * Classes that break the rules of {@link io.weft.ArchitectureRules}, each named for what it does wrong. They lie below
 * this package as Weft's own lie below {@code io.weft}, and are never run.
 */
@NullMarked
package io.weft.architecture.broken;

import org.jspecify.annotations.NullMarked;
