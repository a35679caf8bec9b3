package io.weft.model;

import com.fasterxml.jackson.databind.JsonNode;
import io.weft.device.WeightCode;
import io.weft.model.WeightScheme.Block;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Stream;

/**
 * What {@code quantization_config} says about the modules of a checkpoint. Only weights stay quantised: how activations
 * and the cache would be quantised is not asked, since Weft keeps both in 16 bits, which is no less exact. Whatever
 * else cannot be done is refused with the field's name.
 */
final class Quantisation {
    private static final String FIELD = "quantization_config";
    private static final String OLD_FIELD = "compression_config";
    private static final String REGEX = "re:";
    /** The class of all matrices, in compressed-tensors' words. */
    private static final String ALL_MATRICES = "Linear";

    private static final Set<String> METHODS =
            new TreeSet<>(Set.of("fp8", "compressed-tensors", "gptq", "awq", "mxfp4"));
    private static final Set<String> FORMATS =
            new TreeSet<>(Set.of("pack-quantized", "float-quantized", "int-quantized", "naive-quantized"));

    private final List<Rule> rules;
    private final List<String> plain;

    /** The modules that match get the scheme. */
    private record Rule(List<String> targets, WeightScheme scheme) {}

    private Quantisation(List<Rule> rules, List<String> plain) {
        this.rules = List.copyOf(rules);
        this.plain = List.copyOf(plain);
    }

    /**
     * Reads a configuration; without the field, everything is as it is.
     *
     * @throws ModelLoadException naming field, value and what is allowed
     */
    static Quantisation read(ConfigReader config) {
        String field = config.has(FIELD) ? FIELD : OLD_FIELD;
        if (!config.has(field)) {
            return new Quantisation(List.of(), List.of());
        }
        Fields fields = new Fields(config.file(), field, config.json().path(field));
        String method = fields.text("quant_method").orElse("");
        List<String> plain = Stream.of("modules_to_not_convert", "ignored_layers", "ignore")
                .flatMap(list -> fields.texts(list).stream())
                .toList();
        List<Rule> rules = switch (method) {
            case "fp8" -> everywhere(fp8(fields));
            case "gptq" -> everywhere(gptq(fields));
            case "awq" -> everywhere(awq(fields));
            case "mxfp4" -> everywhere(new WeightScheme.Mxfp4());
            case "compressed-tensors" -> compressed(fields);
            default -> throw fields.wrong("quant_method", "one of " + String.join(", ", METHODS));
        };
        return new Quantisation(rules, plain);
    }

    private static List<Rule> everywhere(WeightScheme scheme) {
        return List.of(new Rule(List.of(ALL_MATRICES), scheme));
    }

    private static WeightScheme fp8(Fields fields) {
        fields.require("fmt", Set.of("e4m3", "float8_e4m3fn"));
        return new WeightScheme.Scaled(WeightCode.FP8_E4M3, fields.block("weight_block_size"));
    }

    private static WeightScheme gptq(Fields fields) {
        WeightCode code = fields.integers("bits");
        fields.require("checkpoint_format", Set.of("gptq", "gptq_v2"));
        fields.require("pack_dtype", Set.of("int32"));
        fields.require("is_marlin_format", Set.of("false"));
        if (!fields.json.path("dynamic").isEmpty()) {
            throw fields.wrong("dynamic", "absent: modules cannot differ");
        }
        // The first version of the format stores zeros less one.
        int zeroOffset = fields.text("checkpoint_format").orElse("gptq").equals("gptq") ? 1 : 0;
        return new WeightScheme.Gptq(code, fields.group("group_size"), zeroOffset);
    }

    private static WeightScheme awq(Fields fields) {
        fields.require(fields.json.has("w_bit") ? "w_bit" : "bits", Set.of("4"));
        fields.require("version", Set.of("gemm", "GEMM"));
        fields.require("zero_point", Set.of("true"));
        return new WeightScheme.Awq(fields.group(fields.json.has("q_group_size") ? "q_group_size" : "group_size"));
    }

    private static List<Rule> compressed(Fields fields) {
        fields.require("quantization_status", Set.of("compressed"));
        String format = fields.text("format").orElse("");
        Fields sparsity = fields.inside("sparsity_config");
        sparsity.require("format", Set.of("dense"));
        List<Rule> rules = new ArrayList<>();
        Fields groups = fields.inside("config_groups");
        if (groups.json.isEmpty()) {
            throw fields.wrong("config_groups", "at least one group");
        }
        for (Map.Entry<String, JsonNode> entry : groups.json.properties()) {
            Fields group = groups.inside(entry.getKey());
            Fields named = group.has("format") ? group : fields;
            String groupFormat = group.text("format").orElse(format);
            if (!FORMATS.contains(groupFormat)) {
                throw named.wrong("format", "one of " + String.join(", ", FORMATS));
            }
            if (!group.has("weights")) {
                throw group.wrong("weights", "there: activations alone are not quantised");
            }
            List<String> targets = group.texts("targets");
            rules.add(new Rule(targets, weights(group.inside("weights"), groupFormat)));
        }
        return rules;
    }

    private static WeightScheme weights(Fields weights, String format) {
        weights.require("type", format.equals("float-quantized") ? Set.of("float") : Set.of("float", "int"));
        boolean floating = weights.text("type").orElse("int").equals("float");
        weights.require("strategy", Set.of("tensor", "channel", "group", "block"));
        if (format.equals("pack-quantized")) {
            if (floating) {
                throw weights.wrong("type", "int, as format is pack-quantized");
            }
            return new WeightScheme.Packed(weights.integers("num_bits"));
        }
        weights.require("num_bits", Set.of("8"));
        weights.require("symmetric", Set.of("true"));
        Optional<Block> block = weights.text("strategy").orElse("").equals("block")
                ? Optional.of(weights.block("block_structure")
                        .orElseThrow(() -> weights.wrong("block_structure", "[rows, columns], as strategy is block")))
                : Optional.empty();
        return new WeightScheme.Scaled(floating ? WeightCode.FP8_E4M3 : WeightCode.INT8, block);
    }

    /** The form of a module's weight, if it is quantised; files may have it as it is nevertheless. */
    WeightScheme scheme(String module) {
        if (plain.stream().anyMatch(pattern -> matches(pattern, module))) {
            return new WeightScheme.Plain();
        }
        return rules.stream()
                .filter(rule -> rule.targets().stream()
                        .anyMatch(target -> target.equals(ALL_MATRICES) || matches(target, module)))
                .map(Rule::scheme)
                .findFirst()
                .orElse(new WeightScheme.Plain());
    }

    /**
     * Bits of a code of a tensor, if it is quantised.
     *
     * @param tensor as a plain weight has it, with {@code .weight}
     */
    OptionalDouble codeBits(String tensor) {
        return switch (scheme(TensorNames.module(tensor))) {
            case WeightScheme.Plain _ -> OptionalDouble.empty();
            case WeightScheme.Scaled(WeightCode code, Optional<Block> _) -> OptionalDouble.of(code.bits());
            case WeightScheme.Packed(WeightCode code) -> OptionalDouble.of(code.bits());
            case WeightScheme.Gptq(WeightCode code, Optional<Integer> _, int _) -> OptionalDouble.of(code.bits());
            case WeightScheme.Awq _ -> OptionalDouble.of(WeightCode.INT4.bits());
            case WeightScheme.Mxfp4 _ -> OptionalDouble.of(WeightCode.FP4_E2M1.bits());
        };
    }

    /** A regular expression that fits the start of the name, or a run of whole parts of it. */
    private static boolean matches(String pattern, String module) {
        if (pattern.startsWith(REGEX)) {
            try {
                return Pattern.compile(pattern.substring(REGEX.length()))
                        .matcher(module)
                        .lookingAt();
            } catch (PatternSyntaxException e) {
                return false;
            }
        }
        return ("." + module + ".").contains("." + pattern + ".");
    }

    /** Fields of an object inside a file, with errors that name the whole path. */
    private record Fields(Path file, String path, JsonNode json) {
        Fields inside(String field) {
            return new Fields(file, path + "." + field, json.path(field));
        }

        boolean has(String field) {
            return !json.path(field).isMissingNode() && !json.path(field).isNull();
        }

        Optional<String> text(String field) {
            return has(field) ? Optional.of(json.path(field).asText()) : Optional.empty();
        }

        List<String> texts(String field) {
            List<String> texts = new ArrayList<>();
            json.path(field).forEach(text -> texts.add(text.asText()));
            return texts;
        }

        /** Refuses other values than these; a missing field is fine. */
        void require(String field, Set<String> allowed) {
            if (has(field) && !allowed.contains(json.path(field).asText())) {
                throw wrong(field, String.join(" or ", new TreeSet<>(allowed)));
            }
        }

        WeightCode integers(String field) {
            return switch (text(field).orElse("")) {
                case "4" -> WeightCode.INT4;
                case "8" -> WeightCode.INT8;
                default -> throw wrong(field, "4 or 8");
            };
        }

        /** Columns of a group; −1 is a whole row. */
        Optional<Integer> group(String field) {
            if (!has(field)) {
                throw wrong(field, "a whole number of at least 1, or -1");
            }
            int columns = ConfigReader.wholeNumber(json.path(field)).orElse(0);
            if (columns < -1 || columns == 0) {
                throw wrong(field, "a whole number of at least 1, or -1");
            }
            return columns == -1 ? Optional.empty() : Optional.of(columns);
        }

        Optional<Block> block(String field) {
            if (!has(field)) {
                return Optional.empty();
            }
            JsonNode sizes = json.path(field);
            int rows = ConfigReader.wholeNumber(sizes.path(0)).orElse(0);
            int columns = ConfigReader.wholeNumber(sizes.path(1)).orElse(0);
            if (!sizes.isArray() || sizes.size() != 2 || rows < 1 || columns < 1) {
                throw wrong(field, "[rows, columns] of a block");
            }
            return Optional.of(new Block(rows, columns));
        }

        ModelLoadException wrong(String field, String allowed) {
            String value = json.path(field).isMissingNode()
                    ? "absent"
                    : json.path(field).toString();
            return new ModelLoadException(file, "%s.%s is %s, must be %s".formatted(path, field, value, allowed));
        }
    }
}
