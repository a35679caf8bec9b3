package io.weft.text.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.fasterxml.jackson.databind.JsonNode;
import io.weft.text.template.Template.Origin;
import io.weft.text.template.Template.Part;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class TemplateTest {
    private static List<Part> render(String template, Map<String, ?> callers) {
        return Template.parse(template).render(Map.of("bos", "<s>"), callers, TemplateOracleTest.CLOCK);
    }

    /** The caller's parts in brackets. */
    private static String marked(List<Part> parts) {
        return parts.stream()
                .map(part -> part.origin() == Origin.CALLER ? "[" + part.text() + "]" : part.text())
                .collect(Collectors.joining());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '#',
            ignoreLeadingAndTrailingWhitespace = false,
            value = {
                "{{ bos }}{{ u }}x#<s>[ Ab c ]x",
                "{{ '<' ~ u ~ '>' }}#<[ Ab c ]>",
                "{{ '<' + u|trim + '>' }}#<[Ab c]>",
                "{{ ('<' + u + '>')[0:3] }}#<[ A]",
                "{{ ('<' + u + '>')[::-1] }}#>[ c bA ]<",
                "{{ ('-' + u).upper() }}#-[ AB C ]",
                "{{ ('-' ~ u ~ '-').strip('-') }}#[ Ab c ]",
                "{{ u.split() | join('|') }}#[Ab]|[c]",
                "{{ u | replace('b', '-') }}#[ A]-[ c ]",
                "{{ 'x' | replace('x', u) }}#[ Ab c ]",
                "{{ u.strip().title().lower() }}#[ab c]",
                "{{ {'k': u} | tojson }}#{\"k\": \"[ Ab c ]\"}",
                "{{ q | tojson }}#\"[a]\\\"[b]\\n[c]\"",
                "{{ [u] }}#['[ Ab c ]']",
                "{% set x %}<{{ u }}>{% endset %}{{ x | trim }}#<[ Ab c ]>",
                "{% macro m(v) %}({{ v }}){% endmacro %}{{ m(u) }}#([ Ab c ])",
                "{% filter upper %}x{{ u }}{% endfilter %}#X[ AB C ]",
                "{% for c in u.strip() %}{{ c }}{% endfor %}#[Ab c]",
                "{% for k, v in d.items() %}{{ k }}={{ v }}{% endfor %}#[key]=[value]",
                "{{ d.get('key') }}{{ d.zz | default('none') }}#[value]none",
                "{{ '%s!' % u }}#[ Ab c ]!",
                "{{ '{}!'.format(u) }}#[ Ab c ]!",
                "{{ 'a' ~ n ~ 'b' }}#a1b",
                "{{ 's\u00df' ~ s | upper }}#s\u00df[SS]",
                "{{ u | length }}{{ u == ' Ab c ' }}{{ {' Ab c ': 'hit'}[u] }}#6Truehit",
                "{{ (u ~ bos) | list | join }}#[ Ab c ]<s>",
                "{{ l | sort | join(',') }}{{ l | unique | first }}#[a],[bb]",
                "{{ u | indent(2, true) }}{{ w | e }}#  [ Ab c a]&lt;[b]",
                "{{ x }}#[\ud83d\ude00]",
                "{{ ('a' ~ x ~ 'b')[1] }}{{ (x ~ 'b')[-1] }}{{ x[0] }}#[\ud83d\ude00]b[\ud83d\ude00]",
            })
    void aTextsOriginGoesThroughEveryOperation(String template, String expected) {
        assertThat(marked(render(
                        template,
                        Map.of(
                                "u", " Ab c ",
                                "q", "a\"b\nc",
                                "w", "a<b",
                                "d", Map.of("key", "value"),
                                "n", 1,
                                "s", "\u00df",
                                "l", List.of("b", "a"),
                                "x", "\ud83d\ude00"))))
                .isEqualTo(expected);
    }

    @Test
    void neighboursOfOneOriginAreOnePart() {
        assertThat(render("a{{ 'b' }}{{ '' }}{{ u }}{{ u }}{{ v }}c{# x #}{{ bos }}", Map.of("u", "x", "v", "")))
                .containsExactly(
                        new Part("ab", Origin.TEMPLATE),
                        new Part("xx", Origin.CALLER),
                        new Part("c<s>", Origin.TEMPLATE));
        assertThat(render("", Map.of())).isEmpty();
    }

    static Stream<Path> files() {
        return TemplateOracleTest.files();
    }

    /** Whatever a user writes, the markers in a prompt are those of the template. */
    @ParameterizedTest
    @MethodSource("files")
    void aUserAddsNoMarkers(Path file) {
        JsonNode recorded = TemplateOracleTest.read(file);
        Template template = Template.parse(recorded.path("template").textValue());
        int rendered = 0;
        for (JsonNode one : recorded.path("cases")) {
            if (!one.has("output") || one.path("variables").has("tools")) {
                continue;
            }
            Map<String, Object> own = TemplateOracleTest.own(recorded, one);
            own.remove("system_prompt");
            List<String> markers = null;
            for (String content :
                    List.of("plain", "<s></s><|im_end|>[INST]", " <<SYS>><\uff5cUser\uff5c>[/INST]\n", "")) {
                var messages = new ArrayList<Object>();
                for (JsonNode message : one.path("messages")) {
                    var changed = new HashMap<>(TemplateOracleTest.map(message));
                    changed.replaceAll(
                            (key, value) -> key.equals("content") && value instanceof String ? content : value);
                    messages.add(changed);
                }
                List<String> found =
                        template.render(own, Map.of("messages", messages), TemplateOracleTest.CLOCK).stream()
                                .filter(part -> part.origin() == Origin.TEMPLATE)
                                .flatMap(part -> java.util.regex.Pattern.compile("[<\\[][^ ]*?[>\\]]")
                                        .matcher(part.text())
                                        .results())
                                .map(java.util.regex.MatchResult::group)
                                .filter(marker -> !marker.contains("think"))
                                .toList();
                // A template may leave out or add what depends on a content's being empty, but not on its text.
                if (!content.isEmpty()) {
                    markers = markers == null ? found : markers;
                    assertThat(found).isEqualTo(markers);
                }
            }
            rendered++;
        }
        assertThat(rendered).isPositive();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '#',
            value = {
                "{{ x.y }}#line 1: 'x' is undefined",
                "a\\n\\n{{ d.key.nope.deeper }}#line 3: a value of type str has no 'nope'",
                "{{ 'a' + 1 }}#line 1: '+' is not for values of types str and int",
                "{% if %}#line 1: unexpected '%}'",
                "{{ 1 | nope }}#line 1: there is no filter 'nope'",
                "{{ 1 is nope }}#line 1: there is no test 'nope'",
                "\\n{% nope %}#line 2: unknown tag 'nope'",
                "{% if 1 %}#line 1: the template ends before {% elif or else or endif %}",
                "{{ a#line 1: a tag is not closed",
                "{{ f(1) }}#line 1: 'f' is undefined",
                "{{ raise_exception('No system messages.') }}#No system messages.",
            })
    void problemsSayWhereAndWhat(String template, String message) {
        assertThatExceptionOfType(TemplateException.class)
                .isThrownBy(
                        () -> render(template.replace("\\n", "\n"), Map.of("d", Map.of("key", "v"), "l", List.of())))
                .satisfies(e -> assertThat(e.getMessage()).startsWith(message).doesNotContain("\n"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
                "{{ range(1000000000) }}",
                "{{ 'abc' * 1000000000 }}",
                "{{ [1] * 1000000000 }}",
                "{{ range(99999) | list * 99999 }}",
                "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
                "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('a', 'aa') %}{% endfor %}",
                "{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
                "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
                "{% macro f(n) %}{% for i in range(99) %}{{ f(n) }}{% endfor %}{% endmacro %}{{ f(1) }}",
                "{% set l = [] %}{% for i in range(99) %}{% set x = l.append(l) %}{% endfor %}{{ l }}",
                "{% set l = [1] %}{% for i in l %}{% for j in range(99999) %}{% for k in range(99999) %}{% set x = l.append(i) %}{% endfor %}{% endfor %}{% endfor %}",
                "{{ 9 ** 9 ** 9 }}",
                "{{ 4611686018427387904 * 4 }}",
                "{{ u | indent(999999999) | indent(999999999) }}{{ 'x' | center(999999999) }}"
            })
    void aTemplateCannotHang(String template) {
        assertThatExceptionOfType(TemplateException.class)
                .isThrownBy(() -> render(template, Map.of("u", "a\nb")))
                .satisfies(e -> assertThat(e.getMessage()).matches("line 1: .+|.*nests too deeply"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"(", "[", "{'a': ", "not ", "- ", "a if b else ", "a[", "a(", "{% if a %}", "{% set x %}"})
    void deepNestingIsRefused(String opening) {
        String nested = String.join("", Collections.nCopies(10_000, opening));
        String template = opening.startsWith("{%") ? nested : "{{ " + nested;
        assertThatExceptionOfType(TemplateException.class).isThrownBy(() -> Template.parse(template));
    }

    @ParameterizedTest
    @ValueSource(strings = {" + 1", " ~ 'a'", ".a", "[0]", "|list", " and 1", " is defined", "()"})
    void longChainsEndInAnAnswerOrAMessage(String link) {
        String template = "{{ 1" + link.repeat(50_000) + " }}";
        assertThatExceptionOfType(TemplateException.class).isThrownBy(() -> render(template, Map.of()));
    }

    @Test
    void deepArgumentsAreRefused() {
        Object deep = List.of();
        for (int i = 0; i < 100_000; i++) {
            deep = List.of(deep);
        }
        Object nested = deep;
        assertThatExceptionOfType(TemplateException.class)
                .isThrownBy(() -> render("{{ d | tojson }}", Map.of("d", nested)))
                .withMessageContaining("nests too deeply");
    }

    @Test
    void aLongConversationIsQuick() {
        var messages = new ArrayList<Object>();
        for (int i = 0; i < 2000; i++) {
            messages.add(Map.of("role", i % 2 == 0 ? "user" : "assistant", "content", "lorem ipsum ".repeat(100)));
        }
        JsonNode recorded = TemplateOracleTest.read(Path.of("src/test/resources/chat-templates/qwen3.json"));
        var own = new HashMap<String, Object>();
        own.put("tools", null);
        own.put("add_generation_prompt", true);
        List<Part> parts = Template.parse(recorded.path("template").textValue())
                .render(own, Map.of("messages", messages), TemplateOracleTest.CLOCK);
        assertThat(TemplateOracleTest.text(parts)).hasSizeGreaterThan(2_400_000).endsWith("<|im_start|>assistant\n");
    }

    @Test
    void codeInAMessageIsText() {
        assertThat(marked(render("{{ m }}", Map.of("m", "{{ 7 * 7 }}{% for x in y %}{# c #}"))))
                .isEqualTo("[{{ 7 * 7 }}{% for x in y %}{# c #}]");
    }
}
