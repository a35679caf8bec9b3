package io.weft.api.openai;

import io.weft.text.PromptPart;
import io.weft.text.PromptPart.Origin;
import io.weft.text.Tokenizer;
import io.weft.text.Tokenizer.SpecialTokens;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How a text becomes tokens.
 *
 * @param added whether special tokens are added around it
 * @param origin whose text it counts as: control tokens that it spells are plain letters of a user, and control tokens
 *     of a template
 */
record TextReading(SpecialTokens added, Origin origin) {
    /**
     * Reads two fields. Special tokens are added unless that is turned off. Control tokens are read where
     * {@code parse_special} says so; without it, where special tokens are asked for by name, as other servers read them
     * there.
     */
    static TextReading of(@Nullable Boolean addSpecialTokens, @Nullable Boolean parseSpecial) {
        boolean reads = parseSpecial == null ? Boolean.TRUE.equals(addSpecialTokens) : parseSpecial;
        return new TextReading(
                Boolean.FALSE.equals(addSpecialTokens) ? SpecialTokens.WITHOUT : SpecialTokens.WITH,
                reads ? Origin.TEMPLATE : Origin.USER);
    }

    List<Integer> encode(String text, Tokenizer tokenizer) {
        return tokenizer.encode(List.of(new PromptPart(text, origin)), added);
    }
}
