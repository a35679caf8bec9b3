package io.weft.text.constraint;

/**
 * What the schemas of one constraint may cost together.
 *
 * @param merging to find the alternatives of {@code allOf} and {@code anyOf}
 * @param compiling to make automata of strings and numbers
 */
record SchemaWork(Work merging, Work compiling) {
    private static final long MERGING_MAX = 5_000_000;
    private static final long COMPILING_MAX = 40_000_000;

    SchemaWork() {
        this(
                new Work("the schema has too many combinations of values", MERGING_MAX),
                new Work("the schema's strings and numbers take too much work", COMPILING_MAX));
    }
}
