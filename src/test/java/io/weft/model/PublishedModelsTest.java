package io.weft.model;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.weft.model.CacheForm.Content;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What docs/models.md says of published models follows from fields of their {@code config.json}. */
class PublishedModelsTest {
    private static final Path DOCUMENT = Path.of("docs", "models.md");

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            facebook/opt-350m              | {"model_type": "opt", "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "ffn_dim": 4096, "word_embed_proj_dim": 512, "do_layer_norm_before": false}
            facebook/opt-6.7b              | {"model_type": "opt", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "ffn_dim": 16384, "word_embed_proj_dim": 4096}
            EleutherAI/pythia-6.9b         | {"model_type": "gpt_neox", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32}
            EleutherAI/gpt-j-6b            | {"model_type": "gptj", "n_embd": 4096, "n_layer": 28, "n_head": 16, "n_positions": 2048, "rotary_dim": 64}
            openai-community/gpt2-xl       | {"model_type": "gpt2", "n_embd": 1600, "n_layer": 48, "n_head": 25, "n_positions": 1024}
            microsoft/phi-2                | {"model_type": "phi", "hidden_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "intermediate_size": 10240, "partial_rotary_factor": 0.4}
            tiiuae/falcon-7b               | {"model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71, "multi_query": true, "parallel_attn": true}
            tiiuae/falcon-40b              | {"model_type": "falcon", "hidden_size": 8192, "num_hidden_layers": 60, "num_attention_heads": 128, "num_kv_heads": 8, "new_decoder_architecture": true}
            meta-llama/Llama-2-7b-hf       | {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096}
            meta-llama/Meta-Llama-3-8B     | {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 8192}
            meta-llama/Meta-Llama-3-70B    | {"model_type": "llama", "hidden_size": 8192, "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8, "max_position_embeddings": 8192}
            mistralai/Mistral-7B-v0.1      | {"model_type": "mistral", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 32768, "sliding_window": 4096}
            mistralai/Mistral-7B-v0.3      | {"model_type": "mistral", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 32768, "sliding_window": null}
            mistralai/Mixtral-8x7B-v0.1    | {"model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 32768, "sliding_window": null}
            Qwen/Qwen2.5-7B                | {"model_type": "qwen2", "hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 131072, "sliding_window": 131072, "use_sliding_window": false, "max_window_layers": 28}
            Qwen/Qwen1.5-MoE-A2.7B         | {"model_type": "qwen2_moe", "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 16, "num_key_value_heads": 16, "max_position_embeddings": 8192, "use_sliding_window": false}
            Qwen/Qwen3-8B                  | {"model_type": "qwen3", "hidden_size": 4096, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 40960, "use_sliding_window": false}
            Qwen/Qwen3-30B-A3B             | {"model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "max_position_embeddings": 40960, "use_sliding_window": false}
            microsoft/Phi-3-mini-4k-instruct | {"model_type": "phi3", "hidden_size": 3072, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096, "sliding_window": 2047}
            microsoft/Phi-3-mini-128k-instruct | {"model_type": "phi3", "hidden_size": 3072, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 131072, "sliding_window": 262144}
            microsoft/phi-4                | {"model_type": "phi3", "hidden_size": 5120, "num_hidden_layers": 40, "num_attention_heads": 40, "num_key_value_heads": 10, "max_position_embeddings": 16384, "sliding_window": null}
            google/gemma-7b                | {"model_type": "gemma", "hidden_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 256}
            google/gemma-2-9b              | {"model_type": "gemma2", "hidden_size": 3584, "num_hidden_layers": 42, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 256, "sliding_window": 4096, "max_position_embeddings": 8192}
            google/gemma-3-12b-it          | {"model_type": "gemma3", "text_config": {"hidden_size": 3840, "num_hidden_layers": 48, "num_attention_heads": 16, "num_key_value_heads": 8, "sliding_window": 1024}}
            google/gemma-3-27b-it          | {"model_type": "gemma3", "text_config": {"hidden_size": 5376, "num_hidden_layers": 62, "num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 128, "sliding_window": 1024}}
            google/gemma-4-31B-it          | {"model_type": "gemma4", "text_config": {"hidden_size": 5376, "num_hidden_layers": 60, "num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 256, "global_head_dim": 512, "num_global_key_value_heads": 4, "attention_k_eq_v": true, "hidden_size_per_layer_input": 0, "sliding_window": 1024}}
            allenai/OLMo-2-1124-7B         | {"model_type": "olmo2", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096}
            allenai/OLMo-2-1124-13B        | {"model_type": "olmo2", "hidden_size": 5120, "num_hidden_layers": 40, "num_attention_heads": 40, "num_key_value_heads": 40, "max_position_embeddings": 4096}
            allenai/Olmo-3-7B-Instruct     | {"model_type": "olmo3", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 65536, "sliding_window": 4096}
            openai/gpt-oss-20b             | {"model_type": "gpt_oss", "hidden_size": 2880, "num_hidden_layers": 24, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "num_local_experts": 32, "sliding_window": 128}
            openai/gpt-oss-120b            | {"model_type": "gpt_oss", "hidden_size": 2880, "num_hidden_layers": 36, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "num_local_experts": 128, "sliding_window": 128}
            HuggingFaceTB/SmolLM3-3B       | {"model_type": "smollm3", "hidden_size": 2048, "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 4, "max_position_embeddings": 65536}
            ibm-granite/granite-3.3-8b-instruct | {"model_type": "granite", "hidden_size": 4096, "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 131072}
            zai-org/GLM-4-9B-0414          | {"model_type": "glm4", "hidden_size": 4096, "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 2, "head_dim": 128, "max_position_embeddings": 32768}
            stabilityai/stablelm-2-1_6b    | {"model_type": "stablelm", "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096, "use_qkv_bias": true}
            bigcode/starcoder2-15b         | {"model_type": "starcoder2", "hidden_size": 6144, "num_hidden_layers": 40, "num_attention_heads": 48, "num_key_value_heads": 4, "max_position_embeddings": 16384, "sliding_window": 4096}
            CohereForAI/c4ai-command-r-v01 | {"model_type": "cohere", "hidden_size": 8192, "num_hidden_layers": 40, "num_attention_heads": 64, "num_key_value_heads": 64, "max_position_embeddings": 8192}
            CohereForAI/c4ai-command-r7b-12-2024 | {"model_type": "cohere2", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 132096, "sliding_window": 4096, "sliding_window_pattern": 4}
            """)
    void aRowOfTheTableFollowsFromTheConfiguration(String name, String config) throws IOException {
        assertThat(Files.readAllLines(DOCUMENT)).contains(row(name, config));
    }

    private static String row(String name, String config) throws IOException {
        ConfigReader reader =
                FamilyDefaults.complete(new ConfigReader(Path.of("config.json"), new ObjectMapper().readTree(config)));
        CacheGeometry geometry =
                new CacheGeometry(ModelFamily.of(reader).describe(reader).dimensions(), 2, 16, 64);
        int hidden = geometry.width(Content.ACTIVATION);
        int keyValue = geometry.width(Content.KEY_VALUE);
        String cached =
                geometry.cachedLayerCount() + " of " + geometry.dimensions().layerCount();
        if (geometry.windowLayerCount() > 0) {
            cached += String.format(Locale.ROOT, ", window %,d", geometry.window());
        }
        if (geometry.cachedLayerCount() == 0) {
            return "| `%s` | %s | — | — | nothing is cached |".formatted(name, cached);
        }
        String pays = geometry.activationsAreSmaller()
                ? String.format(Locale.ROOT, "yes: %.2f of the bytes", (double) hidden / keyValue)
                : "no";
        return String.format(
                Locale.ROOT, "| `%s` | %s | %,d | %,d | %s |", name, cached, 2 * hidden, 2 * keyValue, pays);
    }

    @Test
    void everyServedTypeIsInTheTableOfFamilies() throws IOException {
        List<String> lines = Files.readAllLines(DOCUMENT);
        for (String type : FamilyDefaults.modelTypes()) {
            assertThat(lines).as(type).anyMatch(line -> line.startsWith("| ") && line.contains("`" + type + "`"));
        }
    }
}
