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
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
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
            if (!arguments.positional().isEmpty()) {
                entries.putAll(Values.entries(arguments.positional().getFirst()));
            }
            arguments.named().forEach((name, value) -> entries.put(Text.ofTemplate(name), value));
            return new Mapping(entries);
        });
        functions.put("namespace", (Value.Function) arguments -> {
            var attributes = new LinkedHashMap<String, Value>();
            if (!arguments.positional().isEmpty()) {
                Values.entries(arguments.positional().getFirst())
                        .forEach((name, value) ->
                                attributes.put(Values.string(name).chars(), value));
            }
            attributes.putAll(arguments.named());
            return new Namespace(attributes);
        });
        functions.put("joiner", (Value.Function) arguments -> {
            Value between = arguments.get(0, "sep", Text.ofTemplate(", "));
            var used = new AtomicBoolean();
            return (Value.Function) call -> used.getAndSet(true) ? between : Text.EMPTY;
        });
        functions.put("cycler", (Value.Function) arguments -> {
            if (arguments.positional().isEmpty()) {
                throw new TemplateException("cycler() has no items");
            }
            return new Value.Cycler(arguments.positional(), new AtomicInteger());
        });
        functions.put("raise_exception", (Value.Function) arguments -> {
            throw new Raised(arguments.text(0, "message"));
        });
        functions.put("strftime_now", (Value.Function) arguments ->
                Text.ofTemplate(Strftime.format(arguments.textOnly(0, "format"), ZonedDateTime.now(clock))));
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
        return new Sequence(Sequence.Kind.RANGE, items);
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
            case Node.For loop -> loop(loop, evaluate(loop.items()), 0, scope);
            case Node.Break end -> {
                return Flow.BREAK;
            }
            case Node.Continue end -> {
                return Flow.CONTINUE;
            }
            case Node.Set set -> assign(set.target(), evaluate(set.value()));
            case Node.SetBlock set -> {
                Value text = filtered(captured(set.body(), new Scope(scope)), set.filters());
                assign(set.target(), text);
            }
            case Node.DefineMacro macro -> scope.variables.put(macro.name(), macro(macro, scope));
            case Node.CallBlock block -> {
                Call call = block.call();
                Value callee = evaluate(call.function());
                Arguments given = arguments(call).with("caller", macro(block.caller(), scope));
                out.append(Values.string(Values.call(callee, given)));
            }
            case Node.With with -> {
                var inner = new Scope(scope);
                for (Node.Given given : with.given()) {
                    Value value = evaluate(given.value());
                    Scope outer = scope;
                    scope = inner;
                    assign(given.target(), value);
                    scope = outer;
                }
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
        return captured(() -> within(inner, body));
    }

    private Text captured(Runnable written) {
        Text.Builder outer = out;
        out = new Text.Builder();
        try {
            written.run();
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

    private void assign(Node.Target target, Value value) {
        switch (target) {
            case Node.Variable(var name) -> scope.variables.put(name, value);
            case Node.AttributeOf(var object, var attribute) -> setAttribute(object, attribute, value);
            case Node.Targets(var targets) -> {
                List<Value> items = Values.items(value);
                if (items.size() != targets.size()) {
                    throw new TemplateException(items.size() + " values are given to " + targets.size() + " variables");
                }
                for (int i = 0; i < targets.size(); i++) {
                    assign(targets.get(i), items.get(i));
                }
            }
        }
    }

    private void setAttribute(String object, String attribute, Value value) {
        if (!(scope.get(object) instanceof Namespace(var attributes))) {
            throw new TemplateException("'" + object + "' is no namespace: its attributes cannot be set");
        }
        attributes.put(attribute, value);
    }

    private void loop(Node.For loop, Value over, int depth, Scope outer) {
        List<Value> all = List.copyOf(Values.items(over));
        spend(all.size());
        List<Value> items = all;
        Scope before = scope;
        try {
            if (loop.wanted().isPresent()) {
                items = new ArrayList<>();
                for (Value item : all) {
                    scope = new Scope(outer);
                    assign(loop.target(), item);
                    if (Values.truth(evaluate(loop.wanted().get()))) {
                        items.add(item);
                    }
                }
            }
            var changed = new AtomicReference<@Nullable Value>();
            Value.Function again = again(loop, depth, outer);
            for (int i = 0; i < items.size(); i++) {
                scope = new Scope(outer);
                scope.variables.put("loop", new Value.Loop(items, i, depth, changed, again));
                assign(loop.target(), items.get(i));
                if (execute(loop.body()) == Flow.BREAK) {
                    break;
                }
            }
            if (items.isEmpty()) {
                scope = new Scope(outer);
                execute(loop.otherwise());
            }
        } finally {
            scope = before;
        }
    }

    /** Runs a recursive loop over other items, one level deeper. */
    private Value.Function again(Node.For loop, int depth, Scope outer) {
        return arguments -> {
            if (!loop.recursive()) {
                throw new TemplateException("a loop is called that is not recursive");
            }
            Value items = arguments.get(0, "iterable");
            return nested(() -> captured(() -> loop(loop, items, depth + 1, outer)));
        };
    }

    /** A call of a template's own code. */
    private Text nested(Supplier<Text> call) {
        if (++calls > CALLS_MAX) {
            throw new TemplateException("macros and loops call each other deeper than " + CALLS_MAX);
        }
        try {
            return call.get();
        } finally {
            calls--;
        }
    }

    private Value.Function macro(Node.DefineMacro macro, Scope definedIn) {
        return arguments -> {
            List<Node.Parameter> parameters = macro.parameters();
            List<Value> given = arguments.positional();
            var others = new LinkedHashMap<String, Value>(arguments.named());
            Scope caller = scope;
            var inner = new Scope(definedIn);
            return nested(() -> {
                try {
                    scope = inner;
                    for (int i = 0; i < parameters.size(); i++) {
                        Node.Parameter parameter = parameters.get(i);
                        Value named = i < given.size() ? given.get(i) : others.remove(parameter.name());
                        inner.variables.put(parameter.name(), named == null ? fallback(parameter) : named);
                    }
                    takeOthers(macro, given, others, inner);
                    return captured(macro.body(), inner);
                } finally {
                    scope = caller;
                }
            });
        };
    }

    private Value fallback(Node.Parameter parameter) {
        return parameter
                .value()
                .map(this::evaluate)
                .orElseGet(() -> new Undefined("parameter '" + parameter.name() + "' was not provided"));
    }

    /** The arguments beyond a macro's parameters, which it gets if it uses their names. */
    private static void takeOthers(Node.DefineMacro macro, List<Value> given, Map<String, Value> others, Scope inner) {
        int count = macro.parameters().size();
        if (macro.used().contains("caller")) {
            Value body = others.remove("caller");
            inner.variables.put("caller", body == null ? new Undefined("there is no caller") : body);
        }
        if (macro.used().contains("kwargs")) {
            var entries = new LinkedHashMap<Value, Value>();
            others.forEach((name, value) -> entries.put(Text.ofTemplate(name), value));
            inner.variables.put("kwargs", new Mapping(entries));
        } else if (!others.isEmpty()) {
            throw new TemplateException("macro '" + macro.name() + "' takes no argument '"
                    + others.keySet().iterator().next() + "'");
        }
        if (macro.used().contains("varargs")) {
            inner.variables.put("varargs", Sequence.tuple(given.subList(Math.min(count, given.size()), given.size())));
        } else if (given.size() > count) {
            throw new TemplateException(
                    "macro '" + macro.name() + "' takes " + count + " arguments, not " + given.size());
        }
    }

    private Value evaluate(Expression expression) {
        spend(1);
        return switch (expression) {
            case Node.Constant(var at, var value) -> value;
            case Node.Name(var at, var name) -> scope.get(name);
            case Node.ListOf(var at, var items) -> new Sequence(evaluated(items));
            case Node.TupleOf(var at, var items) -> Sequence.tuple(evaluated(items));
            case Node.Spread(var at, var value) -> throw new IllegalStateException("only calls have it");
            case Node.DictOf(var at, var entries) -> {
                var values = new LinkedHashMap<Value, Value>();
                for (Map.Entry<Expression, Expression> entry : entries) {
                    values.put(Values.hashable(evaluate(entry.getKey())), evaluate(entry.getValue()));
                }
                yield new Mapping(values);
            }
            case Node.Attribute(var at, var object, var name) -> attribute(evaluate(object), name);
            case Node.Item(var at, var object, var key) -> {
                Value from = evaluate(object);
                yield item(from, evaluate(key));
            }
            case Node.Slice(var at, var object, var start, var stop, var step) -> {
                Value value = evaluate(object);
                spend(Values.length(value) / 16);
                yield Values.slice(
                        value, start.map(this::evaluate), stop.map(this::evaluate), step.map(this::evaluate));
            }
            case Call call -> {
                Value callee = evaluate(call.function());
                Arguments given = arguments(call);
                line = call.line();
                yield Values.call(callee, given);
            }
            case Node.Filter(var at, var value, var call) -> filter(evaluate(value), call);
            case Node.Test(var at, var value, var call) ->
                new Bool(Tests.test(name(call), evaluate(value), arguments(call)));
            case Node.Unary(var at, var operator, var operand) -> unary(operator, evaluate(operand));
            case Node.Binary(var at, var operator, var left, var right) -> {
                Value result = Values.arithmetic(operator, evaluate(left), evaluate(right));
                if (result instanceof Text text) {
                    spend(text.chars().length() / 64);
                } else if (result instanceof Sequence(var kind, var items)) {
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

    private Arguments arguments(Call call) {
        if (call.arguments().isEmpty()
                && call.named().isEmpty()
                && call.spread().isEmpty()) {
            return Arguments.NONE;
        }
        var positional = new ArrayList<Value>();
        for (Expression argument : call.arguments()) {
            if (argument instanceof Node.Spread(var at, var several)) {
                positional.addAll(Values.items(evaluate(several)));
            } else {
                positional.add(evaluate(argument));
            }
        }
        var named = new LinkedHashMap<String, Value>();
        call.named().forEach((name, value) -> named.put(name, evaluate(value)));
        if (call.spread().isPresent()) {
            if (!(evaluate(call.spread().get()) instanceof Mapping(var entries))) {
                throw new TemplateException("'**' is for a dictionary");
            }
            entries.forEach((key, value) -> {
                if (!(key instanceof Text name) || named.put(name.chars(), value) != null) {
                    throw new TemplateException("'**' has a name that is no text, or was given already");
                }
            });
        }
        return new Arguments(positional, named);
    }

    private static String name(Call call) {
        return ((Node.Name) call.function()).name();
    }

    private Value filter(Value value, Call call) {
        Arguments arguments = arguments(call);
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

    /** An item; like in Jinja, an attribute if there is none. */
    Value item(Value object, Value key) {
        Value value = Values.item(object, key);
        return value instanceof Undefined && key instanceof Text name ? attribute(object, name.chars()) : value;
    }

    /** An attribute, a method, or an item of that name. */
    Value attribute(Value object, String name) {
        return switch (object) {
            case Namespace(var attributes) ->
                Optional.ofNullable(attributes.get(name)).orElseGet(() -> Values.missing(object, name));
            case Value.Loop loop -> loop(loop, name);
            case Value.Cycler cycler -> cycler(cycler, name);
            case Sequence(var kind, var pair)
            when kind == Sequence.Kind.GROUP && (name.equals("grouper") || name.equals("list")) ->
                pair.get(name.equals("list") ? 1 : 0);
            case Undefined undefined -> throw Values.undefined(undefined);
            default -> {
                if (Methods.has(object, name)) {
                    yield (Value.Function) arguments -> {
                        spend(object instanceof Text text ? text.chars().length() / 64 : 1);
                        return Methods.call(object, name, arguments);
                    };
                }
                if (Methods.changes(object, name)) {
                    yield new Undefined("a template may not call '" + name + "', which changes a value");
                }
                yield Values.item(object, Text.ofTemplate(name));
            }
        };
    }

    private static Value cycler(Value.Cycler cycler, String name) {
        List<Value> items = cycler.items();
        return switch (name) {
            case "current" -> items.get(cycler.next().get());
            case "next" ->
                (Value.Function) arguments -> items.get(cycler.next().getAndUpdate(i -> (i + 1) % items.size()));
            case "reset" ->
                (Value.Function) arguments -> {
                    cycler.next().set(0);
                    return Value.None.NONE;
                };
            default -> Values.missing(cycler, name);
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
            case "depth" -> new Int(loop.depth() + 1);
            case "depth0" -> new Int(loop.depth());
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
