package io.weft.api.openai;

import io.weft.api.http.ApiError;
import io.weft.api.openai.OutputFields.Output;
import io.weft.engine.ServedModel;
import io.weft.text.Tokenizer;
import io.weft.text.constraint.Constraint;
import io.weft.text.constraint.ConstraintException;
import io.weft.text.constraint.Vocabulary;
import jakarta.inject.Singleton;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The constraints of requests. The last ones are kept: applications send the same schema again and again, and what was
 * found out about its masks serves all of them.
 */
@Singleton
class Constraints {
    private static final int KEPT_MOST = 16;

    private final Tokenizer tokenizer;
    private final Map<Object, Constraint> kept = new LinkedHashMap<>(2 * KEPT_MOST, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Object, Constraint> eldest) {
            return size() > KEPT_MOST;
        }
    };
    private @Nullable Vocabulary vocabulary;

    Constraints(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    /**
     * The constraint that the fields of a request ask for.
     *
     * @throws io.weft.api.http.ApiException 400 if it cannot be enforced
     */
    Optional<Constraint> of(OutputFields fields, ServedModel model) {
        return fields.output().map(output -> of(output, model));
    }

    /** @throws io.weft.api.http.ApiException 400 if it cannot be enforced */
    Constraint of(Output output, ServedModel model) {
        // The name of the field is part of the key: it costs little, and keeps this simple.
        Optional<Constraint> known = known(output);
        if (known.isPresent()) {
            return known.get();
        }
        Constraint made;
        try {
            made = Constraint.syntax(output.syntax(), vocabulary(model));
        } catch (ConstraintException e) {
            throw ApiError.badField(output.field(), "%s: %s.".formatted(output.field(), e.getMessage()))
                    .exception();
        }
        synchronized (kept) {
            kept.put(output, made);
        }
        return made;
    }

    private Optional<Constraint> known(Output output) {
        synchronized (kept) {
            return Optional.ofNullable(kept.get(output));
        }
    }

    private synchronized Vocabulary vocabulary(ServedModel model) {
        if (vocabulary == null) {
            vocabulary = Vocabulary.of(tokenizer, model.endTokens());
        }
        return vocabulary;
    }
}
