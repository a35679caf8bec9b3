package io.weft.text.template;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The syntax tree. */
sealed interface Node {
    /** The line of the source on which the node begins. */
    int line();

    /** Writes output or sets variables. */
    sealed interface Statement extends Node {}

    record Output(int line, Expression value) implements Statement {}

    /** @param cases tried in order; {@code otherwise} if none is true */
    record If(int line, List<Case> cases, List<Statement> otherwise) implements Statement {}

    record Case(Expression condition, List<Statement> body) {}

    /** @param wanted the condition that an item must meet to take part in the loop */
    record For(
            int line,
            Target target,
            Expression items,
            Optional<Expression> wanted,
            List<Statement> body,
            List<Statement> otherwise,
            boolean recursive)
            implements Statement {}

    record Break(int line) implements Statement {}

    record Continue(int line) implements Statement {}

    record Set(int line, Target target, Expression value) implements Statement {}

    /** What a value is given to. */
    sealed interface Target {}

    record Variable(String name) implements Target {}

    /** An attribute of a namespace. */
    record AttributeOf(String object, String attribute) implements Target {}

    /** Each takes one item. */
    record Targets(List<Target> targets) implements Target {}

    /** Sets a variable to the text that a body writes. */
    record SetBlock(int line, Target target, List<Call> filters, List<Statement> body) implements Statement {}

    /** @param used the names in the body, of which some mean arguments: caller, varargs, kwargs */
    record DefineMacro(
            int line, String name, List<Parameter> parameters, List<Statement> body, java.util.Set<String> used)
            implements Statement {}

    /** Calls a macro, which may call the body by the name {@code caller}. */
    record CallBlock(int line, Call call, DefineMacro caller) implements Statement {}

    record Parameter(String name, Optional<Expression> value) {}

    /** A body with variables of its own: {@code with}, and {@code generation}, which has none. */
    record With(int line, List<Given> given, List<Statement> body) implements Statement {}

    /** A variable of a body, with its value outside. */
    record Given(Target target, Expression value) {}

    record FilterBlock(int line, List<Call> filters, List<Statement> body) implements Statement {}

    /** Evaluates to a value. */
    sealed interface Expression extends Node {}

    record Constant(int line, Value value) implements Expression {}

    record Name(int line, String name) implements Expression {}

    record ListOf(int line, List<Expression> items) implements Expression {}

    record TupleOf(int line, List<Expression> items) implements Expression {}

    /** An argument whose items are arguments, or whose entries are named arguments. */
    record Spread(int line, Expression value) implements Expression {}

    record DictOf(int line, List<Map.Entry<Expression, Expression>> entries) implements Expression {}

    record Attribute(int line, Expression object, String name) implements Expression {}

    record Item(int line, Expression object, Expression key) implements Expression {}

    record Slice(
            int line,
            Expression object,
            Optional<Expression> start,
            Optional<Expression> stop,
            Optional<Expression> step)
            implements Expression {}

    /**
     * A call.
     *
     * @param function the callee; for a filter or a test, its name and the value to which it applies
     * @param arguments those without a name; some may be {@link Spread}
     * @param named those with a name
     * @param spread a dictionary of more of them
     */
    record Call(
            int line,
            Expression function,
            List<Expression> arguments,
            Map<String, Expression> named,
            Optional<Expression> spread)
            implements Expression {}

    record Filter(int line, Expression value, Call call) implements Expression {}

    record Test(int line, Expression value, Call call) implements Expression {}

    record Unary(int line, String operator, Expression operand) implements Expression {}

    /** An arithmetic operation or {@code ~}. */
    record Binary(int line, String operator, Expression left, Expression right) implements Expression {}

    record And(int line, Expression left, Expression right) implements Expression {}

    record Or(int line, Expression left, Expression right) implements Expression {}

    /** {@code a < b <= c} is true if each comparison is. */
    record Comparison(int line, Expression first, List<Operand> others) implements Expression {}

    record Operand(String operator, Expression value) {}

    record Conditional(int line, Expression condition, Expression then, Optional<Expression> otherwise)
            implements Expression {}
}
