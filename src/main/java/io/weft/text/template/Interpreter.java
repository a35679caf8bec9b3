package io.weft.text.template;

import io.weft.text.template.Node.Call;
import io.weft.text.template.Node.Expression;
import io.weft.text.template.Node.Statement;
import io.weft.text.template.Value.Arguments;
import io.weft.text.template.Value.Bool;
import io.weft.text.template.Value.Int;
import io.weft.text.template.Value.Mapping;
import io.weft.text.template.Value.Namespace;
import io.weft.text.template.Value.Real;
import io.weft.text.template.Value.Sequence;
import io.weft.text.template.Value.Undefined;
import java.time.Clock;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** Runs a template once. Limits on steps, text and lists keep a template from hanging. */
final class Interpreter {
    /** A conversation of a thousand messages takes some hundred thousand steps. */
    private static final long STEPS_MAX = 20_000_000;

    static final int ITEMS_MAX = 100_000;
    private static final int CALLS_MAX = 100;

    /** How control leaves the statements of a body. */
    private enum Flow {
        NEXT,
        BREAK,
        CONTINUE
    }

    private static final class Scope {
        final @Nullable Scope parent;
        final Map<String, Value> variables = new HashMap<>();

        Scope(@Nullable Scope parent) {
            this.parent = parent;
        }

        Value get(String name) {
            for (Scope scope = this; scope != null; scope = scope.parent) {
                Value value = scope.variables.get(name);
                if (value != null) {
                    return value;
                }
            }
            return new Undefined("'" + name + "' is undefined");
        }
    }

    private final Clock clock;
    private final Filters filters = new Filters(this);
    private Scope scope;
    private Text.Builder out = new Text.Builder();
    private long steps;
    private int calls;
    private int line;

    Interpreter(Map<String, Value> variables, Clock clock) {
        this.clock = clock;
        var globals = new Scope(null);
        globals.variables.putAll(functions());
        globals.variables.putAll(variables);
        this.scope = new Scope(globals);
    }

    private Map<String, Value> functions() {
        var functions = new LinkedHashMap<String, Value>();
        functions.put("range", (Value.Function) Interpreter::range);
        functions.put("dict", (Value.Function) arguments -> {
            var entries = new LinkedHashMap<Value, Value>();
            if (arguments.find(0, "") instanceof Mapping(var given)) {
                entries.putAll(given);
            }
            arguments.named().forEach((name, value) -> entries.put(Text.ofTemplate(name), value));
            return new Mapping(entries);
        });
        functions.put("namespace", (Value.Function) arguments -> {
            var attributes = new HashMap<String, Value>();
            if (arguments.find(0, "") instanceof Mapping(var given)) {
                given.forEach(
                        (name, value) -> attributes.put(Values.string(name).chars(), value));
            }
            attributes.putAll(arguments.named());
            return new Namespace(attributes);
        });
        functions.put("raise_exception", (Value.Function) arguments -> {
            throw new Raised(arguments.text(0, "message"));
        });
        functions.put("strftime_now", (Value.Function)
                arguments -> Text.ofTemplate(Strftime.format(arguments.text(0, "format"), ZonedDateTime.now(clock))));
        return functions;
    }

    /** The message of {@code raise_exception}, passed on to the client unchanged. */
    private static final class Raised extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Raised(String message) {
            super(message);
        }
    }

    private static Value range(Arguments arguments) {
        long first = Values.integer(arguments.get(0, "start"));
        boolean single = arguments.positional().size() < 2;
        long start = single ? 0 : first;
        long stop = single ? first : Values.integer(arguments.get(1, "stop"));
        long step = arguments.integer(2, "step", 1);
        if (step == 0) {
            throw new TemplateException("range() has step 0");
        }
        var items = new ArrayList<Value>();
        for (long i = start; step > 0 ? i < stop : i > stop; i += step) {
            if (items.size() == ITEMS_MAX) {
                throw new TemplateException("range() has more than " + ITEMS_MAX + " items");
            }
            items.add(new Int(i));
        }
        return new Sequence(items);
    }

    Text run(List<Statement> statements) {
        try {
            execute(statements);
        } catch (Raised e) {
            throw new TemplateException(String.valueOf(e.getMessage()));
        } catch (TemplateException e) {
            throw TemplateException.at(line, String.valueOf(e.getMessage()));
        }
        return out.build();
    }

    /** Counts work: one step per node, and one per character or item that an operation visits. */
    void spend(long amount) {
        steps += amount;
        if (steps > STEPS_MAX) {
            throw new TemplateException("the template takes more than " + STEPS_MAX + " steps");
        }
    }

    private Flow execute(List<Statement> statements) {
        for (Statement statement : statements) {
            Flow flow = execute(statement);
            if (flow != Flow.NEXT) {
                return flow;
            }
        }
        return Flow.NEXT;
    }

    private Flow execute(Statement statement) {
        spend(1);
        line = statement.line();
        switch (statement) {
            case Node.Output output -> out.append(Values.string(evaluate(output.value())));
            case Node.If choice -> {
                for (Node.Case alternative : choice.cases()) {
                    if (Values.truth(evaluate(alternative.condition()))) {
                        return execute(alternative.body());
                    }
                }
                return execute(choice.otherwise());
            }
            case Node.For loop -> loop(loop);
            case Node.Break end -> {
                return Flow.BREAK;
            }
            case Node.Continue end -> {
                return Flow.CONTINUE;
            }
            case Node.Set set -> assign(set.targets(), evaluate(set.value()));
            case Node.SetAttribute set -> setAttribute(set.object(), set.attribute(), evaluate(set.value()));
            case Node.SetBlock set -> {
                Value text = filtered(captured(set.body(), new Scope(scope)), set.filters());
                switch (set.target()) {
                    case Node.Attribute(var at, Node.Name(var nameAt, var object), var name) ->
                        setAttribute(object, name, text);
                    case Node.Name(var at, var name) -> scope.variables.put(name, text);
                    default -> throw new IllegalStateException("the parser makes no other");
                }
            }
            case Node.DefineMacro macro -> scope.variables.put(macro.name(), macro(macro, scope));
            case Node.With with -> {
                var inner = new Scope(scope);
                with.variables().forEach((name, value) -> inner.variables.put(name, evaluate(value)));
                return within(inner, with.body());
            }
            case Node.FilterBlock block ->
                out.append(Values.string(filtered(captured(block.body(), new Scope(scope)), block.filters())));
        }
        return Flow.NEXT;
    }

    private Flow within(Scope inner, List<Statement> body) {
        Scope outer = scope;
        scope = inner;
        try {
            return execute(body);
        } finally {
            scope = outer;
        }
    }

    /** The text that a body writes. */
    private Text captured(List<Statement> body, Scope inner) {
        Text.Builder outer = out;
        out = new Text.Builder();
        try {
            within(inner, body);
            return out.build();
        } finally {
            out = outer;
        }
    }

    private Value filtered(Value value, List<Call> calls) {
        Value result = value;
        for (Call call : calls) {
            result = filter(result, call);
        }
        return result;
    }

    private void assign(List<String> targets, Value value) {
        if (targets.size() == 1) {
            scope.variables.put(targets.getFirst(), value);
            return;
        }
        List<Value> items = Values.items(value);
        if (items.size() != targets.size()) {
            throw new TemplateException(items.size() + " values are given to " + targets.size() + " variables");
        }
        for (int i = 0; i < items.size(); i++) {
            scope.variables.put(targets.get(i), items.get(i));
        }
    }

    private void setAttribute(String object, String attribute, Value value) {
        if (!(scope.get(object) instanceof Namespace(var attributes))) {
            throw new TemplateException("'" + object + "' is no namespace: its attributes cannot be set");
        }
        attributes.put(attribute, value);
    }

    private void loop(Node.For loop) {
        List<Value> all = List.copyOf(Values.items(evaluate(loop.items())));
        spend(all.size());
        List<Value> items = all;
        Scope outer = scope;
        try {
            if (loop.wanted().isPresent()) {
                items = new ArrayList<>();
                for (Value item : all) {
                    scope = new Scope(outer);
                    assign(loop.targets(), item);
                    if (Values.truth(evaluate(loop.wanted().get()))) {
                        items.add(item);
                    }
                }
            }
            var changed = new AtomicReference<@Nullable Value>();
            for (int i = 0; i < items.size(); i++) {
                scope = new Scope(outer);
                scope.variables.put("loop", new Value.Loop(items, i, changed));
                assign(loop.targets(), items.get(i));
                if (execute(loop.body()) == Flow.BREAK) {
                    break;
                }
            }
            if (items.isEmpty()) {
                scope = new Scope(outer);
                execute(loop.otherwise());
            }
        } finally {
            scope = outer;
        }
    }

    private Value.Function macro(Node.DefineMacro macro, Scope definedIn) {
        return arguments -> {
            List<Node.Parameter> parameters = macro.parameters();
            if (arguments.positional().size() > parameters.size()) {
                throw new TemplateException("macro '" + macro.name() + "' takes " + parameters.size()
                        + " arguments, not " + arguments.positional().size());
            }
            for (String name : arguments.named().keySet()) {
                if (parameters.stream().noneMatch(parameter -> parameter.name().equals(name))) {
                    throw new TemplateException("macro '" + macro.name() + "' takes no argument '" + name + "'");
                }
            }
            if (++calls > CALLS_MAX) {
                throw new TemplateException("macros call each other deeper than " + CALLS_MAX);
            }
            Scope caller = scope;
            var inner = new Scope(definedIn);
            try {
                scope = inner;
                for (int i = 0; i < parameters.size(); i++) {
                    Node.Parameter parameter = parameters.get(i);
                    Value value = arguments.find(i, parameter.name());
                    if (value == null) {
                        value = parameter
                                .value()
                                .map(this::evaluate)
                                .orElseGet(
                                        () -> new Undefined("parameter '" + parameter.name() + "' was not provided"));
                    }
                    inner.variables.put(parameter.name(), value);
                }
                return captured(macro.body(), inner);
            } finally {
                scope = caller;
                calls--;
            }
        };
    }

    private Value evaluate(Expression expression) {
        spend(1);
        return switch (expression) {
            case Node.Constant(var at, var value) -> value;
            case Node.Name(var at, var name) -> scope.get(name);
            case Node.ListOf(var at, var items) -> new Sequence(evaluated(items));
            case Node.DictOf(var at, var entries) -> {
                var values = new LinkedHashMap<Value, Value>();
                for (Map.Entry<Expression, Expression> entry : entries) {
                    values.put(evaluate(entry.getKey()), evaluate(entry.getValue()));
                }
                yield new Mapping(values);
            }
            case Node.Attribute(var at, var object, var name) -> attribute(evaluate(object), name);
            case Node.Item(var at, var object, var key) -> {
                Value from = evaluate(object);
                Value wanted = evaluate(key);
                Value value = Values.item(from, wanted);
                // Like Jinja, fall back to an attribute if there is no such item.
                yield value instanceof Undefined && wanted instanceof Text name ? attribute(from, name.chars()) : value;
            }
            case Node.Slice(var at, var object, var start, var stop, var step) -> {
                Value value = evaluate(object);
                spend(Values.length(value) / 16);
                yield Values.slice(
                        value, start.map(this::evaluate), stop.map(this::evaluate), step.map(this::evaluate));
            }
            case Call(var at, var function, var arguments, var named) -> {
                Value callee = evaluate(function);
                Arguments given = arguments(arguments, named);
                line = at;
                yield Values.call(callee, given);
            }
            case Node.Filter(var at, var value, var call) -> filter(evaluate(value), call);
            case Node.Test(var at, var value, var call) ->
                new Bool(Tests.test(name(call), evaluate(value), arguments(call.arguments(), call.named())));
            case Node.Unary(var at, var operator, var operand) -> unary(operator, evaluate(operand));
            case Node.Binary(var at, var operator, var left, var right) -> {
                Value result = Values.arithmetic(operator, evaluate(left), evaluate(right));
                if (result instanceof Text text) {
                    spend(text.chars().length() / 64);
                } else if (result instanceof Sequence(var items)) {
                    spend(items.size());
                }
                yield result;
            }
            case Node.And(var at, var left, var right) -> {
                Value value = evaluate(left);
                yield Values.truth(value) ? evaluate(right) : value;
            }
            case Node.Or(var at, var left, var right) -> {
                Value value = evaluate(left);
                yield Values.truth(value) ? value : evaluate(right);
            }
            case Node.Comparison(var at, var first, var others) -> {
                Value left = evaluate(first);
                boolean holds = true;
                for (int i = 0; holds && i < others.size(); i++) {
                    Value right = evaluate(others.get(i).value());
                    holds = compare(others.get(i).operator(), left, right);
                    left = right;
                }
                yield new Bool(holds);
            }
            case Node.Conditional(var at, var condition, var then, var otherwise) ->
                Values.truth(evaluate(condition))
                        ? evaluate(then)
                        : otherwise
                                .map(this::evaluate)
                                .orElseGet(() -> new Undefined("the condition is false and there is no 'else'"));
        };
    }

    private List<Value> evaluated(List<Expression> expressions) {
        var values = new ArrayList<Value>();
        for (Expression expression : expressions) {
            values.add(evaluate(expression));
        }
        return values;
    }

    private Arguments arguments(List<Expression> positional, Map<String, Expression> named) {
        if (positional.isEmpty() && named.isEmpty()) {
            return Arguments.NONE;
        }
        var values = new LinkedHashMap<String, Value>();
        named.forEach((name, value) -> values.put(name, evaluate(value)));
        return new Arguments(evaluated(positional), values);
    }

    private static String name(Call call) {
        return ((Node.Name) call.function()).name();
    }

    private Value filter(Value value, Call call) {
        Arguments arguments = arguments(call.arguments(), call.named());
        line = call.line();
        return filters.apply(name(call), value, arguments);
    }

    private static Value unary(String operator, Value value) {
        if (operator.equals("not")) {
            return new Bool(!Values.truth(value));
        }
        long sign = operator.equals("-") ? -1 : 1;
        return value instanceof Real(var number)
                ? new Real(sign * number)
                : Values.arithmetic("*", new Int(sign), new Int(Values.integer(value)));
    }

    static boolean compare(String operator, Value left, Value right) {
        return switch (operator) {
            case "==" -> Values.equal(left, right);
            case "!=" -> !Values.equal(left, right);
            case "in" -> Values.contains(right, left);
            case "not in" -> !Values.contains(right, left);
            case "<" -> Values.compare(left, right) < 0;
            case "<=" -> Values.compare(left, right) <= 0;
            case ">" -> Values.compare(left, right) > 0;
            default -> Values.compare(left, right) >= 0;
        };
    }

    /** An attribute, a method, or an item of that name. */
    private Value attribute(Value object, String name) {
        return switch (object) {
            case Namespace(var attributes) ->
                Optional.ofNullable(attributes.get(name)).orElseGet(() -> Values.missing(object, name));
            case Value.Loop loop -> loop(loop, name);
            case Undefined undefined -> throw Values.undefined(undefined);
            default -> {
                if (Methods.has(object, name)) {
                    yield (Value.Function) arguments -> {
                        spend(object instanceof Text text ? text.chars().length() / 64 : 1);
                        return Methods.call(object, name, arguments);
                    };
                }
                yield Values.item(object, Text.ofTemplate(name));
            }
        };
    }

    private static Value loop(Value.Loop loop, String name) {
        int index = loop.index();
        int length = loop.items().size();
        return switch (name) {
            case "index" -> new Int(index + 1);
            case "index0" -> new Int(index);
            case "revindex" -> new Int(length - index);
            case "revindex0" -> new Int(length - index - 1);
            case "first" -> new Bool(index == 0);
            case "last" -> new Bool(index == length - 1);
            case "length" -> new Int(length);
            // Only recursive loops would be deeper, and they are refused.
            case "depth" -> new Int(1);
            case "depth0" -> new Int(0);
            case "previtem" -> index > 0 ? loop.items().get(index - 1) : new Undefined("there is no previous item");
            case "nextitem" ->
                index < length - 1 ? loop.items().get(index + 1) : new Undefined("there is no next item");
            case "cycle" ->
                (Value.Function) arguments -> {
                    if (arguments.positional().isEmpty()) {
                        throw new TemplateException("loop.cycle() has no items");
                    }
                    return arguments
                            .positional()
                            .get(index % arguments.positional().size());
                };
            case "changed" ->
                (Value.Function) arguments -> {
                    var values = new Sequence(arguments.positional());
                    Value before = loop.changed().getAndSet(values);
                    return new Bool(before == null || !Values.equal(before, values));
                };
            default -> Values.missing(loop, name);
        };
    }
}
