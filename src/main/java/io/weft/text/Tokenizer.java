package io.weft.text;

import io.weft.text.TokenizerFile.AddedToken;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A model's tokenizer. Thread-safe.
 *
 * <p>A <em>control token</em> is an added token that the file calls special, or that the chat template writes. A user's
 * text that spells one is plain text: it is encoded as if there were no such control token.
 */
public final class Tokenizer implements AutoCloseable {
    /** Composing characters makes a text at most three times shorter. */
    private static final int NORMALIZED_SHRINK = 3;

    private final TokenizerFile file;
    private final TokenDecoder decoder;
    private final BitSet special;
    private final Optional<ChatTemplate> chatTemplate;
    private final Optional<ChatTemplate> toolTemplate;
    private final NativeTokenizer library;

    /** Control tokens by their first character, the longest first: the order in which the library matches them. */
    private final Map<Character, List<AddedToken>> control;

    /** Whether normalizing may turn a text into a control token that the text does not spell. */
    private final boolean controlHides;

    /** Tokens that the library adds before and after a user's text. */
    private final List<Integer> before;

    private final List<Integer> after;

    /** The largest number of bytes of text that one token stands for; 0 if there is no bound. */
    private final int tokenBytesMost;

    private @Nullable PlainTextTokenizer plain;
    private boolean closed;

    private Tokenizer(TokenizerFile file, TokenizerConfig config, NativeTokenizer library) {
        this.file = file;
        this.library = library;
        this.decoder = TokenDecoder.of(file.decoder());
        this.special = new BitSet(file.vocabulary().size());
        this.tokenBytesMost = tokenBytesMost(file, decoder);
        String template =
                config.chatTemplate().orElse("") + config.toolTemplate().orElse("");
        var controlTokens = new HashMap<Character, List<AddedToken>>();
        boolean hides = false;
        for (AddedToken token : file.added()) {
            special.set(token.id(), token.special());
            if (token.special() || (isMarker(token.content()) && template.contains(token.content()))) {
                controlTokens
                        .computeIfAbsent(token.content().charAt(0), first -> new ArrayList<>())
                        .add(token);
                hides |= token.normalized() && file.normalizes();
            }
        }
        controlTokens
                .values()
                .forEach(tokens -> tokens.sort(Comparator.comparingInt(
                                (AddedToken token) -> token.content().length())
                        .reversed()));
        this.control = controlTokens;
        this.controlHides = hides;
        this.chatTemplate = config.chatTemplate().map(source -> template(source, config));
        this.toolTemplate =
                config.toolTemplate().map(source -> template(source, config)).or(() -> chatTemplate);

        // The library does not say what it adds to a text, so compare a text encoded with and without it.
        List<Integer> bare = library.encode("a", SpecialTokens.WITHOUT);
        List<Integer> full = library.encode("a", SpecialTokens.WITH);
        int added = full.size() - bare.size();
        int start = added;
        while (start > 0 && !full.subList(start, start + bare.size()).equals(bare)) {
            start--;
        }
        var prefix = new ArrayList<>(full.subList(0, start));
        this.after = List.copyOf(full.subList(start + bare.size(), full.size()));
        config.addBos()
                .ifPresent(addBos -> idOf(config.specialTokens().get("bos_token"))
                        .ifPresent(bos -> {
                            if (!addBos) {
                                prefix.removeIf(bos::equals);
                            } else if (!prefix.contains(bos)) {
                                prefix.addFirst(bos);
                            }
                        }));
        this.before = List.copyOf(prefix);
    }

    private static ChatTemplate template(String source, TokenizerConfig config) {
        return new ChatTemplate(source, config.specialTokens(), Clock.system(ZoneId.systemDefault()));
    }

    /** Tokenizers without a token for each byte drop spaces, and make one token of everything unknown: no bound. */
    private static int tokenBytesMost(TokenizerFile file, TokenDecoder decoder) {
        int longest = file.vocabulary().stream()
                .filter(Objects::nonNull)
                .mapToInt(content -> switch (decoder) {
                    case TokenDecoder.ByteLevel bytes -> bytes.bytes(content).length;
                    // The raw spelling counts too: a text may contain U+2581 itself, which is three bytes.
                    case TokenDecoder.SentencePiece pieces -> content.getBytes(StandardCharsets.UTF_8).length;
                    case TokenDecoder.Words words -> 0;
                    case TokenDecoder.Library library -> 0;
                })
                .max()
                .orElse(0);
        return file.normalizes() ? longest * NORMALIZED_SHRINK : longest;
    }

    /** Markers only: vocabularies also have added tokens for runs of spaces and for words. */
    private static boolean isMarker(String content) {
        return !content.isBlank() && !Character.isLetterOrDigit(content.codePointAt(0));
    }

    private Optional<Integer> idOf(@Nullable Object content) {
        int id = content == null ? -1 : file.vocabulary().indexOf(content);
        return id < 0 ? Optional.empty() : Optional.of(id);
    }

    /** Whether tokens such as {@code <s>} are added to a text, or shown in one. */
    public enum SpecialTokens {
        WITH,
        WITHOUT
    }

    /**
     * Opens {@code tokenizer.json} and, if they are there, {@code tokenizer_config.json},
     * {@code special_tokens_map.json} and {@code chat_template.jinja} of a model's directory.
     *
     * @throws TokenizerException naming file and cause
     */
    public static Tokenizer open(Path modelDirectory) {
        Path path = modelDirectory.resolve("tokenizer.json");
        TokenizerConfig config = TokenizerConfig.read(modelDirectory);
        TokenizerFile file = TokenizerFile.read(path).with(config.added());
        NativeLibrary.load();
        NativeTokenizer library;
        try {
            library = NativeTokenizer.of(file.text());
        } catch (TokenizerException e) {
            throw new TokenizerException(path + ": is no tokenizer: " + e.getMessage(), e);
        }
        return new Tokenizer(file, config, library);
    }

    /** The token that a model's tokenizer names as the end of a text, if it names one that it has. */
    public static Optional<Integer> endToken(Path modelDirectory) {
        TokenizerConfig config = TokenizerConfig.read(modelDirectory);
        TokenizerFile file = TokenizerFile.read(modelDirectory.resolve("tokenizer.json"));
        Object end = config.specialTokens().get("eos_token");
        int id = end == null ? -1 : file.with(config.added()).vocabulary().indexOf(end);
        return id < 0 ? Optional.empty() : Optional.of(id);
    }

    /** The highest token id plus one. */
    public int size() {
        return file.vocabulary().size();
    }

    /**
     * A lower bound of a text's tokens that needs no encoding, which takes memory and time: the text's bytes divided by
     * the most bytes that one token stands for. 0 if there is no such bound.
     */
    public int leastTokens(String text) {
        return leastTokens(Stream.of(text));
    }

    /** A lower bound of a rendered chat's tokens. */
    public int leastTokens(List<PromptPart> parts) {
        return leastTokens(parts.stream().map(PromptPart::text));
    }

    private int leastTokens(Stream<String> texts) {
        return tokenBytesMost == 0
                ? 0
                : Math.toIntExact(Math.ceilDiv(texts.mapToLong(Utf8::bytes).sum(), tokenBytesMost));
    }

    /** Encodes a user's text; control tokens in it are plain text. */
    public List<Integer> encode(String text, SpecialTokens added) {
        return encode(List.of(new PromptPart(text, PromptPart.Origin.USER)), added);
    }

    /** Encodes parts as one text; control tokens are recognised in a template's parts. */
    public List<Integer> encode(List<PromptPart> parts, SpecialTokens added) {
        List<Integer> tokens = encode(parts);
        if (added == SpecialTokens.WITHOUT) {
            return tokens;
        }
        var all = new ArrayList<Integer>(before.size() + tokens.size() + after.size());
        all.addAll(before);
        all.addAll(tokens);
        all.addAll(after);
        return all;
    }

    /**
     * Encodes a rendered chat; no special tokens are added to those that the template wrote.
     *
     * <p>The parts are encoded as one text, as the model was trained: a token may span two parts.
     */
    public List<Integer> encode(List<PromptPart> parts) {
        var text = new StringBuilder();
        var byUser = new BitSet();
        for (PromptPart part : parts) {
            int start = text.length();
            text.append(part.text());
            byUser.set(start, text.length(), part.origin() == PromptPart.Origin.USER);
        }
        String whole = text.toString();
        var written = new LinkedHashMap<Integer, AddedToken>();
        boolean spelledByUser = false;
        for (int i = 0; i < whole.length(); i++) {
            AddedToken token = controlTokenAt(whole, i);
            if (token == null) {
                continue;
            }
            int end = i + token.content().length();
            int user = byUser.nextSetBit(i);
            if (user >= 0 && user < end) {
                spelledByUser = true;
            } else {
                written.put(i, token);
                i = end - 1;
            }
        }
        if (!spelledByUser && !(controlHides && !byUser.isEmpty())) {
            return library.encode(whole, SpecialTokens.WITHOUT);
        }
        return plain().encode(whole, written);
    }

    private @Nullable AddedToken controlTokenAt(String text, int index) {
        for (AddedToken token : control.getOrDefault(text.charAt(index), List.of())) {
            if (text.startsWith(token.content(), index)) {
                return token;
            }
        }
        return null;
    }

    /**
     * Created for the first text that spells a control token: few texts do, and it takes as much memory as the other
     * one.
     */
    private synchronized PlainTextTokenizer plain() {
        if (closed) {
            throw new IllegalStateException("the tokenizer is closed");
        }
        PlainTextTokenizer made = plain;
        if (made == null) {
            made = PlainTextTokenizer.of(
                    file, control.values().stream().flatMap(List::stream).toList());
            plain = made;
        }
        return made;
    }

    /**
     * The tokenizer with secret names for its control tokens, so that their known spellings are plain text. Control
     * tokens that a template writes are replaced by the secret names before encoding.
     */
    private record PlainTextTokenizer(NativeTokenizer library, Map<String, String> names) {
        static PlainTextTokenizer of(TokenizerFile file, List<AddedToken> control) {
            var secret = new byte[16];
            new SecureRandom().nextBytes(secret);
            var names = new HashMap<String, String>();
            for (AddedToken token : control) {
                // Letters and digits survive every normalizer. The last letter ensures that no name is a prefix of
                // another.
                names.put(token.content(), "weft" + HexFormat.of().formatHex(secret) + "n" + names.size() + "e");
            }
            NativeTokenizer library = NativeTokenizer.of(file.renamed(names));
            for (AddedToken token : control) {
                String name = Objects.requireNonNull(names.get(token.content()));
                List<Integer> tokens = library.encode(name, SpecialTokens.WITHOUT);
                if (!tokens.contains(token.id())) {
                    library.close();
                    throw new TokenizerException("token \"%s\" (%d) cannot be kept apart from text that spells it"
                            .formatted(token.content(), token.id()));
                }
            }
            return new PlainTextTokenizer(library, names);
        }

        List<Integer> encode(String text, Map<Integer, AddedToken> written) {
            var renamed = new StringBuilder();
            int copied = 0;
            for (Map.Entry<Integer, AddedToken> token : written.entrySet()) {
                String content = token.getValue().content();
                renamed.append(text, copied, token.getKey()).append(names.get(content));
                copied = token.getKey() + content.length();
            }
            renamed.append(text, copied, text.length());
            return library.encode(renamed.toString(), SpecialTokens.WITHOUT);
        }
    }

    /** Decodes tokens; ids outside the vocabulary are skipped. */
    public String decode(List<Integer> tokens, SpecialTokens shown) {
        var text = new StringBuilder();
        TokenDecoder.Run run = decoding(shown, Set.of());
        for (int token : tokens) {
            run.add(token, text);
        }
        run.finish(text);
        return text.toString();
    }

    /** Decodes tokens that others follow: the bytes of a character that is not complete are left to these. */
    public String decodeOpen(List<Integer> tokens, SpecialTokens shown) {
        var text = new StringBuilder();
        TokenDecoder.Run run = decoding(shown, Set.of());
        tokens.forEach(token -> run.add(token, text));
        return text.toString();
    }

    /** For each token, the code points of the text before it. */
    public List<Integer> places(List<Integer> tokens, SpecialTokens shown) {
        var places = new ArrayList<Integer>(tokens.size());
        var text = new StringBuilder();
        TokenDecoder.Run run = decoding(shown, Set.of());
        int place = 0;
        for (int token : tokens) {
            places.add(place);
            run.add(token, text);
            place += text.codePointCount(0, text.length());
            text.setLength(0);
        }
        return places;
    }

    /**
     * Starts a text that is decoded token by token.
     *
     * @param marks contents of special tokens that are shown in any case
     */
    TokenDecoder.Run decoding(SpecialTokens shown, Set<String> marks) {
        TokenDecoder.Run run = switch (decoder) {
            case TokenDecoder.ByteLevel() -> new TokenDecoder.ByteRun(this::pieceBytes, "", 0);
            case TokenDecoder.SentencePiece(var replacements, var leadingSpaces) ->
                new TokenDecoder.ByteRun(this::pieceBytes, "", leadingSpaces);
            case TokenDecoder.Words() -> new TokenDecoder.ByteRun(this::pieceBytes, " ", 0);
            case TokenDecoder.Library() ->
                new TokenDecoder.LibraryRun(tokens -> library.decode(tokens, SpecialTokens.WITH));
        };
        return new TokenDecoder.Run() {
            private boolean hasText(int token) {
                String content = content(token);
                return content != null
                        && (shown == SpecialTokens.WITH || !special.get(token) || marks.contains(content));
            }

            @Override
            public void follow(List<Integer> before) {
                run.follow(before.stream().filter(this::hasText).toList());
            }

            @Override
            public void add(int token, StringBuilder out) {
                if (hasText(token)) {
                    run.add(token, out);
                }
            }

            @Override
            public void finish(StringBuilder out) {
                run.finish(out);
            }
        };
    }

    private @Nullable String content(int token) {
        return token >= 0 && token < file.vocabulary().size()
                ? file.vocabulary().get(token)
                : null;
    }

    /**
     * The text of one token by itself, as log-probabilities show it; bytes that are no UTF-8 by themselves as U+FFFD.
     */
    public String piece(int token) {
        return Utf8.decode(pieceBytes(token));
    }

    /** The bytes of one token; none for an id outside the vocabulary. */
    public byte[] pieceBytes(int token) {
        String content = content(token);
        return content == null ? new byte[0] : decoder.bytes(content);
    }

    /**
     * The bytes that one token adds in the middle of a text; none for a control token, for an id outside the
     * vocabulary, and in vocabularies of which only the library knows the text.
     */
    public byte[] innerBytes(int token) {
        String content = content(token);
        if (content == null || special.get(token) || isControl(content)) {
            return new byte[0];
        }
        return switch (decoder) {
            case TokenDecoder.ByteLevel bytes -> bytes.bytes(content);
            case TokenDecoder.SentencePiece pieces -> pieces.bytes(content);
            case TokenDecoder.Words words -> words.bytes(" " + content);
            case TokenDecoder.Library unknown -> new byte[0];
        };
    }

    private boolean isControl(String content) {
        return !content.isEmpty()
                && control.getOrDefault(content.charAt(0), List.of()).stream()
                        .anyMatch(token -> token.content().equals(content));
    }

    /** Control tokens by their content. */
    public Map<String, Integer> controlTokens() {
        return control.values().stream()
                .flatMap(List::stream)
                .collect(Collectors.toMap(AddedToken::content, AddedToken::id, (first, second) -> first));
    }

    /** The model's chat template, if it has one. */
    public Optional<ChatTemplate> chatTemplate() {
        return chatTemplate;
    }

    /** The template of chats with tools: one of its own, or the one of all chats. */
    public Optional<ChatTemplate> toolTemplate() {
        return toolTemplate;
    }

    /** Frees the native memory after calls in progress have ended; later calls fail. */
    @Override
    public synchronized void close() {
        closed = true;
        library.close();
        if (plain != null) {
            plain.library().close();
        }
    }
}
