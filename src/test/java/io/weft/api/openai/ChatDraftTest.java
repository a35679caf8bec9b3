package io.weft.api.openai;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import io.weft.api.http.ApiException;
import java.lang.reflect.RecordComponent;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** What a door does not know itself, and a chat does, counts. */
class ChatDraftTest {
    /** Every door has these itself, or they do not change the text. */
    private static final Set<String> ELSEWHERE =
            Set.of("model", "temperature", "top_p", "stream", "stream_options", "tools", "tool_choice", "top_logprobs");

    @Test
    void eachFieldOfAChatIsTakenOrRefused() {
        Set<String> dropped = new TreeSet<>();
        for (String field : fields(ChatRequest.class)) {
            ChatDraft draft = new ChatDraft();
            try {
                draft.further(Map.of(field, "something"));
            } catch (ApiException e) {
                assertThat(e).hasMessageContaining(field);
                continue;
            }
            if (!draft.json().has(field)) {
                dropped.add(field);
            }
        }
        assertThat(dropped).isEqualTo(new TreeSet<>(ELSEWHERE));
    }

    private static Set<String> fields(Class<?> type) {
        SnakeCaseStrategy names = new SnakeCaseStrategy();
        Set<String> fields = new TreeSet<>();
        for (RecordComponent component : type.getRecordComponents()) {
            if (component.getType() == UnsupportedFields.class) {
                fields.addAll(UnsupportedFields.names());
            } else if (component.getAccessor().isAnnotationPresent(JsonUnwrapped.class)) {
                fields.addAll(fields(component.getType()));
            } else {
                fields.add(names.translate(component.getName()));
            }
        }
        return fields;
    }
}
