package io.weft.plan.step;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import java.util.Collections;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Predicate;

/**
 * The cached tokens that a step attends to, by the form in which they lie; tokens that are not in a full block yet are
 * on the device as K and V.
 *
 * @param byForm only forms that there are
 */
public record StepTokens(SortedMap<CacheForm, Long> byForm) {
    /** No tokens. */
    public static final StepTokens NONE = new StepTokens(new TreeMap<>());

    public StepTokens {
        byForm = Collections.unmodifiableSortedMap(new TreeMap<>(byForm));
    }

    /** The tokens of a step. */
    public static StepTokens of(StepShape shape, int blockTokens) {
        long[] counts = new long[CacheForm.all().size()];
        for (SequenceShape sequence : shape.sequences()) {
            counts[CacheForm.DEVICE_KV.index()] += sequence.openTokens();
            for (int block = 0; block < sequence.closed().size(); block++) {
                counts[sequence.closed().get(block).index()] += blockTokens;
            }
        }
        SortedMap<CacheForm, Long> byForm = new TreeMap<>();
        for (CacheForm form : CacheForm.all()) {
            if (counts[form.index()] > 0) {
                byForm.put(form, counts[form.index()]);
            }
        }
        return new StepTokens(byForm);
    }

    /** The tokens of a form. */
    public long of(CacheForm form) {
        return byForm.getOrDefault(form, 0L);
    }

    /** The tokens whose K and V lie on the device. */
    public long resident() {
        return sum(form -> form.content() == Content.KEY_VALUE && form.place() == Place.DEVICE);
    }

    /** The tokens whose K and V cross the link. */
    public long transferred() {
        return sum(form -> form.content() == Content.KEY_VALUE && form.place() == Place.HOST);
    }

    /** The tokens whose K and V are computed from activations, wherever those lie. */
    public long recomputed() {
        return sum(form -> form.content() == Content.ACTIVATION);
    }

    private long sum(Predicate<CacheForm> wanted) {
        long sum = 0;
        for (Map.Entry<CacheForm, Long> entry : byForm.entrySet()) {
            sum += wanted.test(entry.getKey()) ? entry.getValue() : 0;
        }
        return sum;
    }

    /** The sum of both. */
    public StepTokens plus(StepTokens more) {
        SortedMap<CacheForm, Long> sum = new TreeMap<>(byForm);
        more.byForm.forEach((form, tokens) -> sum.merge(form, tokens, Long::sum));
        return new StepTokens(sum);
    }
}
