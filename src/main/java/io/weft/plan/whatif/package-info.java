/** Answers for a machine and a load that need not be there, with the reasons. */
@NullMarked
package io.weft.plan.whatif;

import org.jspecify.annotations.NullMarked;
