/** Answers about a machine and a load that need not exist, with the reasons. */
@NullMarked
package io.weft.plan.whatif;

import org.jspecify.annotations.NullMarked;
