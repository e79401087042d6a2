internal import OrderedCollections

/// A part of a template's text.
indirect enum Statement {
    case text(String)
    case output(Expression, line: Int)
    /// Branches, of which the first whose condition holds is rendered; an `else` holds always.
    case condition([(condition: Expression?, body: [Statement])], line: Int)
    case loop(Loop)
    case assignment(Target, Expression, line: Int)
    /// What a body renders, filtered: `{% set x %}…{% endset %}`.
    case capture(Target, filters: [Application], body: [Statement], line: Int)
    /// A body, filtered: `{% filter upper %}…{% endfilter %}`.
    case filtered([Application], body: [Statement], line: Int)
    case scope([(name: String, value: Expression)], body: [Statement], line: Int)
    case macro(Macro)
    /// What an assistant said, of which a training learns.
    case generation(body: [Statement], line: Int)
    case breakLoop
    case continueLoop
}

/// A loop: `{% for a, b in items if condition %}`.
struct Loop {
    let target: Target
    let items: Expression
    let condition: Expression?
    let body: [Statement]
    /// Where there are no items.
    let otherwise: [Statement]
    let line: Int
}

/// What a value is given to.
indirect enum Target {
    case name(String)
    case member(of: String, String)
    case several([Target])
}

/// A macro: `{% macro f(a, b=1) %}`.
struct Macro {
    let name: String
    let parameters: [(name: String, fallback: Expression?)]
    let body: [Statement]
    let line: Int
}

/// A filter or a test, and what it is called with beside the value.
struct Application {
    let name: String
    let arguments: Arguments
    let line: Int
}

struct Arguments {
    var positional: [Expression] = []
    var named: [(name: String, value: Expression)] = []
}

indirect enum Expression {
    case constant(TemplateValue)
    case name(String)
    case list([Expression])
    case tuple([Expression])
    case object([(key: Expression, value: Expression)])
    case member(Expression, String)
    case item(Expression, Expression)
    case slice(Expression, from: Expression?, to: Expression?, by: Expression?)
    case call(Expression, Arguments, line: Int)
    case filter(Expression, Application)
    case test(Expression, Application, isNegated: Bool)
    case negative(Expression)
    case positive(Expression)
    case not(Expression)
    case and(Expression, Expression)
    case or(Expression, Expression)
    /// Each beside the next: `a < b <= c`.
    case comparison(Expression, [(Comparison, Expression)])
    case arithmetic(Arithmetic, Expression, Expression)
    case concatenation([Expression])
    /// A choice: `value if condition else other`.
    case choice(Expression, condition: Expression, otherwise: Expression?)
}

enum Comparison: String {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case `in`
    case notIn = "not in"
}

enum Arithmetic: String {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case divideWhole = "//"
    case remainder = "%"
    case power = "**"
}
