package io.weft.model;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * How true the cache is to what the model computed. A person chooses it, never the planner.
 *
 * <p>Under a lossy policy a row sees the tokens of its own block as they were computed, and those of every earlier
 * block as they are stored, decoded, in whatever step, piece of a prompt, plan or place. So the text depends on the
 * policy, and on nothing else.
 */
public enum CachePolicy {
    /** Every token is seen as it was computed. */
    EXACT("exact", Arrays.stream(Encoding.values()).filter(Encoding::isExact).toList()),
    /** Full blocks are stored in 8-bit floats (e4m3), with a scale for each token and head. */
    FP8("fp8", List.of(Encoding.FP8)),
    /** Full blocks are stored in 8-bit whole numbers, with a scale for each token and head. */
    INT8("int8", List.of(Encoding.INT8)),
    /** Full blocks are stored in 4 bits: keys by channel, values by token and head, as KIVI has it. */
    INT4("int4", List.of(Encoding.INT4));

    /** Tokens of a block, and of a cell, under a lossy policy, unless set: keys share a scale over so many tokens. */
    public static final int LOSSY_BLOCK_TOKENS = 64;

    private final String label;

    @SuppressWarnings("ImmutableEnumChecker") // a list that nobody changes
    private final List<Encoding> encodings;

    CachePolicy(String label, List<Encoding> encodings) {
        this.label = label;
        this.encodings = encodings;
    }

    /** The encodings that full blocks may have; under a lossy policy there is one, which all have. */
    public List<Encoding> encodings() {
        return encodings;
    }

    /** The forms that full blocks may have, in the order of {@link CacheForm#all}. */
    public List<CacheForm> forms() {
        return CacheForm.all().stream()
                .filter(form -> encodings.contains(form.encoding()))
                .toList();
    }

    /** The form of a block that would have {@code form} in an exact cache. */
    public CacheForm stored(CacheForm form) {
        return isLossy() ? new CacheForm(encodings.getFirst(), form.place()) : form;
    }

    /** The forms of blocks that may have {@code forms} in an exact cache, in the order of {@link CacheForm#all}. */
    public SortedSet<CacheForm> stored(Set<CacheForm> forms) {
        SortedSet<CacheForm> stored = new TreeSet<>(forms());
        stored.retainAll(forms.stream().map(this::stored).toList());
        return stored;
    }

    /**
     * The policy with this name.
     *
     * @throws IllegalArgumentException naming those that there are
     */
    public static CachePolicy ofLabel(String label) {
        return Arrays.stream(values())
                .filter(policy -> policy.label.equals(label))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("cache_encoding is \"%s\", must be one of %s"
                        .formatted(
                                label,
                                Arrays.stream(values()).map(CachePolicy::label).collect(Collectors.joining(", ")))));
    }

    /** Whether stored tokens differ from computed ones. */
    public boolean isLossy() {
        return this != EXACT;
    }

    /** The name users give it. */
    public String label() {
        return label;
    }
}
