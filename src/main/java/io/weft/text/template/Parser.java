package io.weft.text.template;

import io.weft.text.template.Lexer.Kind;
import io.weft.text.template.Lexer.Token;
import io.weft.text.template.Node.Call;
import io.weft.text.template.Node.Expression;
import io.weft.text.template.Node.Statement;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/** Reads a template by recursive descent, after the grammar of Jinja 3.1. */
final class Parser {
    /** Deep enough for any template, and far from a stack overflow. */
    private static final int DEPTH_MAX = 200;

    private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");

    /** Names that stand for values, which cannot be set. */
    private static final Set<String> RESERVED = Set.of("true", "false", "none", "True", "False", "None");

    /** The names that do not begin a test's argument. */
    private static final Set<String> AFTER_TEST = Set.of("else", "or", "and");

    private final List<Token> tokens;
    private int next;
    private int depth;
    private int loops;
    /** The names that were used, which says which of its arguments a macro may get. */
    private Set<String> used = new HashSet<>();

    private Parser(List<Token> tokens) {
        this.tokens = tokens;
    }

    /** @throws TemplateException if the source is no template */
    static List<Statement> parse(String source) {
        var parser = new Parser(Lexer.tokens(source));
        List<Statement> statements = parser.body(List.of());
        if (parser.peek().kind() != Kind.END) {
            throw parser.unexpected();
        }
        return statements;
    }

    private Token peek() {
        return tokens.get(next);
    }

    private Token take() {
        Token token = tokens.get(next);
        if (token.kind() != Kind.END) {
            next++;
        }
        return token;
    }

    private boolean is(String operator) {
        return peek().is(Kind.OPERATOR, operator);
    }

    private boolean isName(String name) {
        return peek().is(Kind.NAME, name);
    }

    private boolean skip(String operator) {
        boolean found = is(operator);
        next += found ? 1 : 0;
        return found;
    }

    private boolean skipName(String name) {
        boolean found = isName(name);
        next += found ? 1 : 0;
        return found;
    }

    private void expect(String operator) {
        if (!skip(operator)) {
            throw TemplateException.at(peek().line(), "expected '" + operator + "' before " + described(peek()));
        }
    }

    private String name() {
        if (peek().kind() != Kind.NAME) {
            throw TemplateException.at(peek().line(), "expected a name before " + described(peek()));
        }
        return take().text();
    }

    private TemplateException unexpected() {
        return TemplateException.at(peek().line(), "unexpected " + described(peek()));
    }

    private static String described(Token token) {
        return switch (token.kind()) {
            case END -> "the template's end";
            case BLOCK_END -> "'%}'";
            case VARIABLE_END -> "'}}'";
            case BLOCK_BEGIN -> "'{%'";
            case VARIABLE_BEGIN -> "'{{'";
            case DATA -> "text";
            case NAME, STRING, INTEGER, REAL, OPERATOR -> "'" + token.text() + "'";
        };
    }

    /** Parses statements up to a tag that begins with one of {@code ends}; that name is the next token. */
    private List<Statement> body(List<String> ends) {
        enter();
        var statements = new ArrayList<Statement>();
        while (peek().kind() != Kind.END) {
            Token token = take();
            switch (token.kind()) {
                case DATA ->
                    statements.add(new Node.Output(
                            token.line(), new Node.Constant(token.line(), Text.ofTemplate(token.text()))));
                case VARIABLE_BEGIN -> {
                    statements.add(new Node.Output(token.line(), tuple()));
                    end(Kind.VARIABLE_END);
                }
                case BLOCK_BEGIN -> {
                    if (peek().kind() == Kind.NAME && ends.contains(peek().text())) {
                        depth--;
                        return statements;
                    }
                    statement(token.line(), statements);
                }
                default -> throw TemplateException.at(token.line(), "unexpected " + described(token));
            }
        }
        if (!ends.isEmpty()) {
            throw TemplateException.at(
                    peek().line(), "the template ends before {% " + String.join(" or ", ends) + " %}");
        }
        depth--;
        return statements;
    }

    private void enter() {
        if (++depth > DEPTH_MAX) {
            throw TemplateException.at(peek().line(), "nests deeper than " + DEPTH_MAX);
        }
    }

    private void end(Kind kind) {
        if (peek().kind() != kind) {
            throw unexpected();
        }
        next++;
    }

    /** A body and its closing tag. */
    private List<Statement> bodyUntil(String closing) {
        end(Kind.BLOCK_END);
        List<Statement> body = body(List.of(closing));
        name();
        end(Kind.BLOCK_END);
        return body;
    }

    private void statement(int line, List<Statement> statements) {
        String tag = name();
        statements.add(
                switch (tag) {
                    case "if" -> ifStatement(line);
                    case "for" -> forStatement(line);
                    case "set" -> setStatement(line);
                    case "macro" -> macro(line);
                    case "call" -> callBlock(line);
                    case "block" -> block(line);
                    case "with" -> with(line);
                    case "autoescape" -> {
                        if (!skipName("false")) {
                            throw TemplateException.at(line, "'autoescape' must be false");
                        }
                        yield new Node.With(line, List.of(), bodyUntil("endautoescape"));
                    }
                    case "generation" -> new Node.With(line, List.of(), bodyUntil("endgeneration"));
                    case "filter" -> {
                        var filters = new ArrayList<Call>();
                        do {
                            filters.add(filterCall());
                        } while (skip("|"));
                        yield new Node.FilterBlock(line, filters, bodyUntil("endfilter"));
                    }
                    case "break" -> {
                        requireLoop(line, tag);
                        end(Kind.BLOCK_END);
                        yield new Node.Break(line);
                    }
                    case "continue" -> {
                        requireLoop(line, tag);
                        end(Kind.BLOCK_END);
                        yield new Node.Continue(line);
                    }
                    default -> throw TemplateException.at(line, "unknown tag '" + tag + "'");
                });
    }

    private void requireLoop(int line, String tag) {
        if (loops == 0) {
            throw TemplateException.at(line, "'" + tag + "' is outside a loop");
        }
    }

    private Statement ifStatement(int line) {
        var cases = new ArrayList<Node.Case>();
        List<Statement> otherwise = List.of();
        String tag = "if";
        while (!tag.equals("endif")) {
            if (tag.equals("else")) {
                otherwise = bodyOfPart(List.of("endif"));
            } else {
                Expression condition = tuple(this::or);
                cases.add(new Node.Case(condition, bodyOfPart(List.of("elif", "else", "endif"))));
            }
            tag = name();
        }
        end(Kind.BLOCK_END);
        return new Node.If(line, cases, otherwise);
    }

    private List<Statement> bodyOfPart(List<String> ends) {
        end(Kind.BLOCK_END);
        return body(ends);
    }

    private Statement forStatement(int line) {
        Node.Target target = targets();
        if (!skipName("in")) {
            throw TemplateException.at(line, "expected 'in' before " + described(peek()));
        }
        // A conditional expression is not allowed here: its "if" would be taken for the loop's.
        Expression items = tuple(this::or);
        Optional<Expression> wanted = skipName("if") ? Optional.of(expression()) : Optional.empty();
        boolean recursive = skipName("recursive");
        loops++;
        List<Statement> body = bodyOfPart(List.of("else", "endfor"));
        loops--;
        List<Statement> otherwise = List.of();
        if (name().equals("else")) {
            otherwise = bodyOfPart(List.of("endfor"));
            name();
        }
        end(Kind.BLOCK_END);
        return new Node.For(line, target, items, wanted, body, otherwise, recursive);
    }

    /** Names or attributes, with commas between them and perhaps in parentheses. */
    private Node.Target targets() {
        var targets = new ArrayList<Node.Target>();
        boolean several = false;
        do {
            if (several && is(")")) {
                break;
            }
            targets.add(target());
            several |= is(",");
        } while (skip(","));
        return several ? new Node.Targets(targets) : targets.getFirst();
    }

    private Node.Target target() {
        if (skip("(")) {
            enter();
            Node.Target inner = targets();
            depth--;
            expect(")");
            return inner;
        }
        Token token = peek();
        String name = name();
        if (RESERVED.contains(name)) {
            throw TemplateException.at(token.line(), "cannot set '" + name + "'");
        }
        return skip(".") ? new Node.AttributeOf(name, name()) : new Node.Variable(name);
    }

    private Statement setStatement(int line) {
        Node.Target target = targets();
        if (skip("=")) {
            Expression value = tuple();
            end(Kind.BLOCK_END);
            return new Node.Set(line, target, value);
        }
        var filters = new ArrayList<Call>();
        while (skip("|")) {
            filters.add(filterCall());
        }
        return new Node.SetBlock(line, target, filters, bodyUntil("endset"));
    }

    private Statement macro(int line) {
        return macro(line, name(), "endmacro");
    }

    /** A macro from its parameters on. */
    private Node.DefineMacro macro(int line, String name, String closing) {
        var parameters = new ArrayList<Node.Parameter>();
        if (closing.equals("endmacro") || is("(")) {
            expect("(");
            while (!skip(")")) {
                parameters.add(parameter(parameters));
                if (!is(")")) {
                    expect(",");
                }
            }
        }
        return macro(line, name, parameters, closing);
    }

    private Node.Parameter parameter(List<Node.Parameter> before) {
        Token token = peek();
        String parameter = name();
        if (before.stream().anyMatch(other -> other.name().equals(parameter))) {
            throw TemplateException.at(token.line(), "the parameter '" + parameter + "' is there twice");
        }
        Optional<Expression> value = skip("=") ? Optional.of(expression()) : Optional.empty();
        if (value.isEmpty() && !before.isEmpty() && before.getLast().value().isPresent()) {
            throw TemplateException.at(token.line(), "'" + parameter + "' needs a default, as those before it have");
        }
        return new Node.Parameter(parameter, value);
    }

    private Node.DefineMacro macro(int line, String name, List<Node.Parameter> parameters, String closing) {
        Set<String> outside = used;
        used = new HashSet<>();
        List<Statement> body = bodyUntil(closing);
        Set<String> inside = used;
        used = outside;
        used.addAll(inside);
        return new Node.DefineMacro(line, name, parameters, body, inside);
    }

    private Statement callBlock(int line) {
        var parameters = new ArrayList<Node.Parameter>();
        if (skip("(")) {
            while (!skip(")")) {
                parameters.add(parameter(parameters));
                if (!is(")")) {
                    expect(",");
                }
            }
        }
        if (!(expression() instanceof Call call)) {
            throw TemplateException.at(line, "expected a call");
        }
        return new Node.CallBlock(line, call, macro(line, "caller", parameters, "endcall"));
    }

    /** A block of a template that no other one extends: its body, in a scope of its own. */
    private Statement block(int line) {
        String name = name();
        skipName("scoped");
        skipName("required");
        end(Kind.BLOCK_END);
        List<Statement> body = body(List.of("endblock"));
        name();
        skipName(name);
        end(Kind.BLOCK_END);
        return new Node.With(line, List.of(), body);
    }

    private Statement with(int line) {
        var given = new ArrayList<Node.Given>();
        while (peek().kind() != Kind.BLOCK_END) {
            Node.Target target = targets();
            expect("=");
            given.add(new Node.Given(target, expression()));
            if (peek().kind() != Kind.BLOCK_END) {
                expect(",");
            }
        }
        return new Node.With(line, given, bodyUntil("endwith"));
    }

    /** An expression, or several with commas between them. */
    private Expression tuple() {
        return tuple(this::expression);
    }

    private Expression tuple(Supplier<Expression> item) {
        Expression first = item.get();
        if (!is(",")) {
            return first;
        }
        var items = new ArrayList<Expression>(List.of(first));
        while (skip(",")) {
            if (peek().kind() == Kind.BLOCK_END || peek().kind() == Kind.VARIABLE_END || is(")")) {
                break;
            }
            items.add(item.get());
        }
        return new Node.TupleOf(first.line(), items);
    }

    private Expression expression() {
        enter();
        Expression value = or();
        while (isName("if")) {
            int line = take().line();
            Expression condition = or();
            Optional<Expression> otherwise = skipName("else") ? Optional.of(expression()) : Optional.empty();
            value = new Node.Conditional(line, condition, value, otherwise);
        }
        depth--;
        return value;
    }

    private Expression or() {
        Expression left = and();
        while (isName("or")) {
            left = new Node.Or(take().line(), left, and());
        }
        return left;
    }

    private Expression and() {
        Expression left = not();
        while (isName("and")) {
            left = new Node.And(take().line(), left, not());
        }
        return left;
    }

    private Expression not() {
        if (isName("not")) {
            enter();
            Expression not = new Node.Unary(take().line(), "not", not());
            depth--;
            return not;
        }
        return comparison();
    }

    private Expression comparison() {
        Expression first = sum();
        var others = new ArrayList<Node.Operand>();
        while (true) {
            if (peek().kind() == Kind.OPERATOR && COMPARISONS.contains(peek().text())) {
                String operator = take().text();
                others.add(new Node.Operand(operator, sum()));
            } else if (skipName("in")) {
                others.add(new Node.Operand("in", sum()));
            } else if (isName("not") && tokens.get(next + 1).is(Kind.NAME, "in")) {
                next += 2;
                others.add(new Node.Operand("not in", sum()));
            } else {
                return others.isEmpty() ? first : new Node.Comparison(first.line(), first, others);
            }
        }
    }

    private Expression sum() {
        Expression left = concatenation();
        while (is("+") || is("-")) {
            Token operator = take();
            left = new Node.Binary(operator.line(), operator.text(), left, concatenation());
        }
        return left;
    }

    private Expression concatenation() {
        Expression left = product();
        while (is("~")) {
            left = new Node.Binary(take().line(), "~", left, product());
        }
        return left;
    }

    private Expression product() {
        Expression left = power();
        while (is("*") || is("/") || is("//") || is("%")) {
            Token operator = take();
            left = new Node.Binary(operator.line(), operator.text(), left, power());
        }
        return left;
    }

    private Expression power() {
        Expression left = filtered(unary());
        while (is("**")) {
            left = new Node.Binary(take().line(), "**", left, filtered(unary()));
        }
        return left;
    }

    private Expression unary() {
        if (is("-") || is("+")) {
            enter();
            Token operator = take();
            Expression signed = new Node.Unary(operator.line(), operator.text(), unary());
            depth--;
            return signed;
        }
        return postfix(primary());
    }

    private Expression filtered(Expression operand) {
        Expression value = operand;
        while (true) {
            if (is("|")) {
                int line = take().line();
                value = new Node.Filter(line, value, filterCall());
            } else if (isName("is")) {
                value = test(value);
            } else if (is("(")) {
                value = call(value);
            } else {
                return value;
            }
        }
    }

    private Call filterCall() {
        int line = peek().line();
        var function = new Node.Name(line, name());
        return is("(") ? call(function) : without(line, function);
    }

    private static Call without(int line, Expression function) {
        return new Call(line, function, List.of(), Map.of(), Optional.empty());
    }

    private Expression test(Expression value) {
        int line = take().line();
        boolean negated = skipName("not");
        var function = new Node.Name(line, name());
        Call call = without(line, function);
        boolean argument = peek().kind() == Kind.NAME
                ? !AFTER_TEST.contains(peek().text())
                : Set.of(Kind.STRING, Kind.INTEGER, Kind.REAL).contains(peek().kind()) || is("[") || is("{");
        if (isName("is")) {
            throw TemplateException.at(line, "a test follows a test");
        }
        if (is("(")) {
            call = call(function);
        } else if (argument) {
            call = new Call(line, function, List.of(postfix(primary())), Map.of(), Optional.empty());
        }
        Expression test = new Node.Test(line, value, call);
        return negated ? new Node.Unary(line, "not", test) : test;
    }

    private Expression postfix(Expression object) {
        Expression value = object;
        while (true) {
            int line = peek().line();
            if (skip(".")) {
                value = peek().kind() == Kind.INTEGER
                        ? new Node.Item(line, value, primary())
                        : new Node.Attribute(line, value, name());
            } else if (skip("[")) {
                value = subscript(line, value);
                expect("]");
            } else if (is("(")) {
                value = call(value);
            } else {
                return value;
            }
        }
    }

    private Expression subscript(int line, Expression object) {
        Optional<Expression> start = is(":") ? Optional.empty() : Optional.of(tuple());
        if (!skip(":")) {
            return new Node.Item(line, object, start.orElseThrow());
        }
        Optional<Expression> stop = is(":") || is("]") ? Optional.empty() : Optional.of(expression());
        Optional<Expression> step = skip(":") && !is("]") ? Optional.of(expression()) : Optional.empty();
        return new Node.Slice(line, object, start, stop, step);
    }

    private Call call(Expression function) {
        int line = peek().line();
        expect("(");
        var arguments = new ArrayList<Expression>();
        var named = new LinkedHashMap<String, Expression>();
        Optional<Expression> spread = Optional.empty();
        while (!skip(")")) {
            boolean isNamed = peek().kind() == Kind.NAME && tokens.get(next + 1).is(Kind.OPERATOR, "=");
            if (is("**") && spread.isEmpty()) {
                next++;
                spread = Optional.of(expression());
            } else if (spread.isPresent()) {
                throw TemplateException.at(line, "an argument follows those of a dictionary");
            } else if (isNamed) {
                String name = take().text();
                next++;
                if (named.put(name, expression()) != null) {
                    throw TemplateException.at(line, "the argument '" + name + "' is given twice");
                }
            } else if (is("*")) {
                int at = take().line();
                arguments.add(new Node.Spread(at, expression()));
            } else if (named.isEmpty()) {
                arguments.add(expression());
            } else {
                throw TemplateException.at(line, "an argument without a name follows one with a name");
            }
            if (!is(")")) {
                expect(",");
            }
        }
        return new Call(line, function, arguments, named, spread);
    }

    private Expression primary() {
        Token token = take();
        int line = token.line();
        return switch (token.kind()) {
            case NAME ->
                switch (token.text()) {
                    case "true", "True" -> new Node.Constant(line, new Value.Bool(true));
                    case "false", "False" -> new Node.Constant(line, new Value.Bool(false));
                    case "none", "None" -> new Node.Constant(line, Value.None.NONE);
                    default -> {
                        used.add(token.text());
                        yield new Node.Name(line, token.text());
                    }
                };
            case STRING -> {
                var text = new StringBuilder(token.text());
                while (peek().kind() == Kind.STRING) {
                    text.append(take().text());
                }
                yield new Node.Constant(line, Text.ofTemplate(text.toString()));
            }
            case INTEGER -> new Node.Constant(line, new Value.Int(integer(token)));
            case REAL -> new Node.Constant(line, new Value.Real(Double.parseDouble(token.text())));
            case OPERATOR ->
                switch (token.text()) {
                    case "(" -> {
                        if (skip(")")) {
                            yield new Node.TupleOf(line, List.of());
                        }
                        Expression value = tuple();
                        expect(")");
                        yield value;
                    }
                    case "[" -> list(line);
                    case "{" -> dict(line);
                    default -> throw TemplateException.at(line, "unexpected " + described(token));
                };
            default -> throw TemplateException.at(line, "unexpected " + described(token));
        };
    }

    private static long integer(Token token) {
        String digits = token.text().toLowerCase(Locale.ROOT);
        int radix = digits.startsWith("0x") ? 16 : digits.startsWith("0o") ? 8 : digits.startsWith("0b") ? 2 : 10;
        try {
            return Long.parseLong(radix == 10 ? digits : digits.substring(2), radix);
        } catch (NumberFormatException e) {
            throw TemplateException.at(token.line(), "the integer " + token.text() + " is too large");
        }
    }

    private Expression list(int line) {
        var items = new ArrayList<Expression>();
        while (!skip("]")) {
            items.add(expression());
            if (!is("]")) {
                expect(",");
            }
        }
        return new Node.ListOf(line, items);
    }

    private Expression dict(int line) {
        var entries = new ArrayList<Map.Entry<Expression, Expression>>();
        while (!skip("}")) {
            Expression key = expression();
            expect(":");
            entries.add(Map.entry(key, expression()));
            if (!is("}")) {
                expect(",");
            }
        }
        return new Node.DictOf(line, entries);
    }
}
