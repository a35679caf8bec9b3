package io.weft.cache;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class BlockNamingTest {
    private static BlockNaming naming(int model) {
        return new BlockNaming(new byte[] {(byte) model}, maxTokens -> maxTokens > 100 ? 1 : 0);
    }

    /** Whatever the stored bits depend on is a part of the name: another of it gives another name, and only that. */
    @Test
    void equalNamesMeanEqualBeginnings() {
        Random random = new Random(1);
        Set<BlockName> names = new HashSet<>();
        Set<List<Object>> beginnings = new HashSet<>();
        for (int round = 0; round < 5000; round++) {
            int model = random.nextInt(2);
            String salt = List.of("", "a", "b").get(random.nextInt(3));
            int maxTokens = 99 + random.nextInt(4);
            List<Integer> tokens =
                    random.ints(random.nextInt(4) * 2L, 0, 2).boxed().toList();
            BlockName name = naming(model).root(salt, maxTokens);
            for (int block = 0; block < tokens.size() / 2; block++) {
                name = naming(model).next(name, tokens.subList(2 * block, 2 * block + 2));
            }
            names.add(name);
            beginnings.add(List.of(model, salt, maxTokens > 100, tokens));
            assertThat(names).hasSameSizeAs(beginnings);
        }
        assertThat(names).hasSizeGreaterThan(500);
    }

    @Test
    void aPromptHasTheNamesThatItsSequenceGivesItsBlocks() {
        BlockNaming naming = naming(1);
        List<Integer> tokens = IntStream.range(0, 50).boxed().toList();
        Prompt prompt = Prompt.named(tokens, 60, "salt", naming, 16);
        assertThat(prompt.knowableBlocks()).isEqualTo(3);
        assertThat(Prompt.named(tokens.subList(0, 48), 60, "salt", naming, 16).knowableBlocks())
                .isEqualTo(2);
        BlockName name = naming.root("salt", 60);
        List<BlockName> expected = new ArrayList<>();
        for (int block = 0; block < 3; block++) {
            name = naming.next(name, tokens.subList(16 * block, 16 * block + 16));
            expected.add(name);
        }
        // In any order, since they are made as they are asked for.
        assertThat(prompt.nameBefore(3)).isEqualTo(expected.get(2));
        assertThat(prompt.nameBefore(1)).isEqualTo(expected.get(0));
        assertThat(name.toString()).hasSize(32);
    }
}
