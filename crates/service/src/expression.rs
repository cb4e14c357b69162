//! Filters in the Common Expression Language: what an item must be like.
//!
//! An expression speaks of one item: its `tags`, `properties`, `timestamp` and `title`. It is bounded
//! before it is evaluated once: in length, in depth, in what it may call, and in the steps that it
//! may take for one item.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use cel::common::ast::{EntryExpr, Expr, SourceInfo};
use cel::objects::Key;
use cel::parser::Parser;
use cel::{Context, Env, IdedExpr, Value};
use recant_types::{ItemDescription, PropertyValue, UnixMillis};

/// Longest expression, in bytes of UTF-8.
const EXPRESSION_BYTES_MAX: usize = 2_048;

/// Deepest nesting of an expression.
const EXPRESSION_DEPTH_MAX: u16 = 32;

/// Most steps an expression may take for one item, counted as if it had as many tags or properties
/// as it may.
const EXPRESSION_STEPS_MAX: usize = 5_000;

/// Rounds of a macro such as `exists`: as many as an item may have tags or properties.
const ROUNDS: usize = 100;

/// The names of an item's properties in their order: what a walk through the properties goes through. The
/// library would go through them in any order, another one each time. Nobody can write this name.
const NAMES: &str = "@names";

/// What an expression may speak of.
const VARIABLES: [&str; 4] = ["tags", "properties", "timestamp", "title"];

/// What it may call besides operators.
const FUNCTIONS: [&str; 10] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "type",
];

/// Why a text is no expression, and where. The text is never part of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}", Place(*.at))]
pub struct InvalidExpression {
    /// What is wrong.
    pub reason: ExpressionFault,
    /// Line and column, from 1, where that is known.
    pub at: Option<(usize, usize)>,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionFault {
    /// It is empty.
    #[error("there is no expression")]
    Empty,
    /// It is too long.
    #[error("an expression has at most {EXPRESSION_BYTES_MAX} bytes")]
    TooLong,
    /// It is nested too deeply.
    #[error("an expression is nested at most {EXPRESSION_DEPTH_MAX} deep")]
    TooDeep,
    /// It is not CEL.
    #[error("this is no expression of CEL")]
    Syntax,
    /// It speaks of something that items do not have.
    #[error("an expression may speak of tags, properties, timestamp and title")]
    UnknownName,
    /// It calls something that there is not.
    #[error(
        "an expression may call size, contains, startsWith, endsWith, int, uint, double, string, \
         bool, type, has, all, exists, exists_one, map and filter"
    )]
    UnknownFunction,
    /// It makes something that a filter has no use for.
    #[error("an expression may not make messages")]
    Message,
    /// It walks through something that may be large, or walks within a walk.
    #[error(
        "all, exists, exists_one, map and filter go through tags, properties or a list that is \
         written out, and not within one another"
    )]
    Walk,
    /// It takes too many steps.
    #[error("an expression may take at most {EXPRESSION_STEPS_MAX} steps for an item")]
    TooCostly,
}

/// A position as words.
struct Place(Option<(usize, usize)>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((line, column)) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

/// A checked expression. `Debug` does not show it.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    root: Arc<IdedExpr>,
    /// Which of [`VARIABLES`] it speaks of.
    speaks_of: [bool; 4],
    /// Whether it walks through properties.
    walks: bool,
}

impl Expression {
    /// Reads and bounds an expression.
    pub fn compile(text: &str) -> Result<Self, InvalidExpression> {
        let fault = |reason| InvalidExpression { reason, at: None };
        if text.trim().is_empty() {
            return Err(fault(ExpressionFault::Empty));
        }
        if text.len() > EXPRESSION_BYTES_MAX {
            return Err(fault(ExpressionFault::TooLong));
        }
        check_nesting(text)?;
        let parser = Parser::new().max_recursion_depth(EXPRESSION_DEPTH_MAX);
        let parsed = parser.parse_with_source_info(text);
        let (mut root, source) = parsed.map_err(|errors| {
            let first = errors.errors.first().map(|error| error.pos);
            let place = first.and_then(|(line, column)| {
                let number = |value: isize| usize::try_from(value).ok().filter(|v| *v > 0);
                Some((number(line)?, number(column)?))
            });
            InvalidExpression {
                reason: ExpressionFault::Syntax,
                at: place,
            }
        })?;
        let mut check = Check {
            source: &source,
            text,
            speaks_of: [false; 4],
            walks: false,
            bound: Vec::new(),
        };
        if check.steps(&mut root)? > EXPRESSION_STEPS_MAX {
            return Err(fault(ExpressionFault::TooCostly));
        }
        Ok(Self {
            speaks_of: check.speaks_of,
            walks: check.walks,
            text: Arc::from(text),
            root: Arc::new(root),
        })
    }

    /// The text that it was compiled from.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether it is true of an item. An expression that errs, as when it speaks of a property that
    /// the item does not have, or that is no truth, is not.
    pub fn matches(&self, item: &ItemDescription) -> bool {
        static STANDARD: OnceLock<Arc<Env>> = OnceLock::new();
        let env = STANDARD.get_or_init(|| Arc::new(Env::stdlib()));
        let mut context = Context::with_env(Arc::clone(env));
        for (name, _) in VARIABLES.iter().zip(self.speaks_of).filter(|(_, yes)| *yes) {
            context.add_variable_from_value(*name, value_of(name, item));
        }
        if self.walks {
            context.add_variable_from_value(NAMES, names_of(item));
        }
        matches!(context.resolve(&self.root), Ok(Value::Bool(true)))
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expression(redacted)")
    }
}

/// What a variable stands for. Numbers are doubles and times milliseconds since 1970, whatever an item
/// has, so that an expression means the same for all of them.
fn value_of(name: &str, item: &ItemDescription) -> Value {
    let text = |text: &str| Value::String(Arc::new(text.to_owned()));
    match name {
        "tags" => Value::List(Arc::new(item.tags.iter().map(|tag| text(tag)).collect())),
        "properties" => {
            let properties = item.properties.iter().map(|(name, held)| {
                let value = match held {
                    PropertyValue::Truth(truth) => Value::Bool(*truth),
                    PropertyValue::Number(number) => Value::Float(*number),
                    PropertyValue::Text(held) => text(held),
                };
                (Key::String(Arc::new(name.to_string())), value)
            });
            Value::from(properties.collect::<HashMap<Key, Value>>())
        }
        "timestamp" => item.timestamp.map_or(Value::Null, |timestamp| {
            Value::Int(UnixMillis::from_timestamp(timestamp).0)
        }),
        _ => item.title.as_deref().map_or(Value::Null, text),
    }
}

/// The names of an item's properties, in their order.
fn names_of(item: &ItemDescription) -> Value {
    let names = item.properties.keys().map(|name| name.to_string());
    Value::from(names.collect::<Vec<String>>())
}

/// Refuses brackets and signs that nest more deeply than the parser could follow on a small stack.
fn check_nesting(text: &str) -> Result<(), InvalidExpression> {
    let (mut depth, mut deepest, mut signs) = (0_u16, 0_u16, 0_u16);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        signs = match byte {
            b'!' | b'-' => signs + 1,
            b' ' => signs,
            _ => 0,
        };
        deepest = deepest.max(depth).max(signs);
    }
    if deepest > EXPRESSION_DEPTH_MAX {
        let reason = ExpressionFault::TooDeep;
        return Err(InvalidExpression { reason, at: None });
    }
    Ok(())
}

/// One walk through an expression.
struct Check<'a> {
    source: &'a SourceInfo,
    text: &'a str,
    speaks_of: [bool; 4],
    walks: bool,
    /// Names that the macros around bind.
    bound: Vec<String>,
}

impl Check<'_> {
    /// How many steps an expression takes at most. Walks through properties become walks through [`NAMES`].
    fn steps(&mut self, node: &mut IdedExpr) -> Result<usize, InvalidExpression> {
        let id = node.id;
        let within = match &mut node.expr {
            Expr::Unspecified | Expr::Literal(_) => 0,
            Expr::Ident(name) => {
                if !self.bound.contains(name) {
                    match VARIABLES.iter().position(|known| known == name) {
                        Some(variable) => self.speaks_of[variable] = true,
                        None => return Err(self.fault(ExpressionFault::UnknownName, id)),
                    }
                }
                0
            }
            Expr::Select(select) => self.steps(&mut select.operand)?,
            Expr::Call(call) => {
                // Operators have names that nobody can write.
                let is_written = call
                    .func_name
                    .starts_with(|c: char| c.is_ascii_alphabetic());
                if is_written && !FUNCTIONS.contains(&call.func_name.as_str()) {
                    return Err(self.fault(ExpressionFault::UnknownFunction, id));
                }
                let target = call.target.as_deref_mut().into_iter();
                self.sum(target.chain(&mut call.args))?
            }
            Expr::List(list) => self.sum(&mut list.elements)?,
            Expr::Map(map) => {
                let mut sum = 0;
                for entry in &mut map.entries {
                    let EntryExpr::MapEntry(entry) = &mut entry.expr else {
                        return Err(self.fault(ExpressionFault::Message, id));
                    };
                    sum += self.steps(&mut entry.key)? + self.steps(&mut entry.value)?;
                }
                sum
            }
            Expr::Struct(_) => return Err(self.fault(ExpressionFault::Message, id)),
            Expr::Comprehension(walk) => {
                let is_bounded = match &walk.iter_range.expr {
                    Expr::Ident(name) => name == "tags" || name == "properties",
                    Expr::List(list) => list.elements.len() <= ROUNDS,
                    _ => false,
                };
                if !is_bounded || !self.bound.is_empty() {
                    return Err(self.fault(ExpressionFault::Walk, id));
                }
                let range = self.sum([&mut walk.iter_range, &mut walk.accu_init])?;
                if matches!(&walk.iter_range.expr, Expr::Ident(name) if name == "properties") {
                    walk.iter_range.expr = Expr::Ident(NAMES.to_owned());
                    self.walks = true;
                }
                self.bound.push(walk.accu_var.clone());
                self.bound.push(walk.iter_var.clone());
                self.bound.extend(walk.iter_var2.clone());
                let round = self.sum([&mut walk.loop_cond, &mut walk.loop_step])?;
                let result = self.steps(&mut walk.result)?;
                self.bound.clear();
                range + ROUNDS * round + result
            }
        };
        Ok(within + 1)
    }

    fn sum<'b>(
        &mut self,
        nodes: impl IntoIterator<Item = &'b mut IdedExpr>,
    ) -> Result<usize, InvalidExpression> {
        nodes.into_iter().map(|node| self.steps(node)).sum()
    }

    fn fault(&self, reason: ExpressionFault, id: u64) -> InvalidExpression {
        let place = self.source.offset_for(id).map(|(start, _)| {
            let before = self.text.get(..start as usize).unwrap_or(self.text);
            let line = before.matches('\n').count() + 1;
            let last = before.rsplit('\n').next().unwrap_or_default();
            (line, last.chars().count() + 1)
        });
        InvalidExpression { reason, at: place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recant_types::ItemId;

    fn item() -> ItemDescription {
        let mut item = ItemDescription::of(ItemId::new("x").expect("an id"));
        item.title = Some("Dune".into());
        item.set_tags(["drama".into(), "desert".into()]);
        item.timestamp = Some(1_700_000_000);
        let number = PropertyValue::Number;
        item.properties = [
            ("price".into(), number(12.5)),
            ("pages".into(), number(300.0)),
            ("language".into(), PropertyValue::Text("en".into())),
            ("new".into(), PropertyValue::Truth(true)),
        ]
        .into();
        item
    }

    #[test]
    fn expressions_say_what_an_item_is_like() {
        for (text, expected) in [
            (r#""drama" in tags && properties.price < 20"#, true),
            (r#""drama" in tags && properties.price < 12.5"#, false),
            ("properties.pages == 300", true),
            ("properties.pages * 2.0 >= 600.0", true),
            ("properties['new'] && !has(properties.old)", true),
            ("properties.language in ['de', 'en']", true),
            ("title.startsWith('Du') && size(tags) == 2", true),
            ("tags.exists(tag, tag.endsWith('rt'))", true),
            ("tags.all(tag, tag.contains('e'))", false),
            ("timestamp == 1700000000000", true),
            ("properties.price > 10 ? true : false", true),
            ("title == null", false),
            // What errs, and what is no truth, is not so.
            ("properties.old == 1", false),
            ("!(properties.old == 1)", false),
            ("properties.language < 3", false),
            ("title", false),
            ("1", false),
        ] {
            let compiled = Expression::compile(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(compiled.matches(&item()), expected, "{text}");
        }
        let bare = ItemDescription::of(ItemId::new("y").expect("an id"));
        for (text, expected) in [
            ("!('a' in tags)", true),
            ("title == null && timestamp == null", true),
            ("properties.price < 1", false),
        ] {
            let compiled = Expression::compile(text).expect(text);
            assert_eq!(compiled.matches(&bare), expected, "{text}");
        }
    }

    /// The library goes through a map in an order of its own, another one each time.
    #[test]
    fn properties_are_walked_through_in_the_order_of_their_names() {
        for text in [
            "properties.map(name, name) == ['language', 'new', 'pages', 'price']",
            "properties.filter(name, name != 'new')[0] == 'language'",
            "properties.map(name, properties[name])[2] == 300.0",
            "properties.exists_one(name, name == 'new')",
            "properties.exists(name, properties[name] == 12.5)",
        ] {
            let compiled = Expression::compile(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            for _ in 0..50 {
                assert!(compiled.matches(&item()), "{text}");
            }
        }
        assert!(Expression::compile("@names == []").is_err());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_never_repeated() {
        use ExpressionFault as F;
        let nested = format!("{}true{}", "(".repeat(40), ")".repeat(40));
        let signs = format!("{}true", "!".repeat(400));
        let chain = format!("1 == 1{}", " && 1 == 1".repeat(200));
        let costly = "tags.exists(t, t == 'a' || t == 'b' || t == 'c' || t == 'd' || t == 'e' || \
                      t == 'f' || t == 'g' || t == 'h' || t == 'i' || t == 'j' || t == 'k' || \
                      t == 'l' || t == 'm' || t == 'n' || t == 'o' || t == 'p')";
        for (text, reason, at) in [
            ("", F::Empty, None),
            (" ", F::Empty, None),
            (&"1".repeat(2_049), F::TooLong, None),
            (&nested, F::TooDeep, None),
            (&signs, F::TooDeep, None),
            ("needle ==", F::Syntax, Some((1, 10))),
            ("tags\n&& needle", F::UnknownName, Some((2, 4))),
            ("'é' == needle", F::UnknownName, Some((1, 8))),
            ("needle(tags)", F::UnknownFunction, Some((1, 7))),
            ("title.matches('needle')", F::UnknownFunction, Some((1, 14))),
            (
                "tags.exists(a, tags.exists(b, a == b))",
                F::Walk,
                Some((1, 27)),
            ),
            (
                "(tags + tags).exists(a, a == 'needle')",
                F::Walk,
                Some((1, 21)),
            ),
            (costly, F::TooCostly, None),
        ] {
            let fault = Expression::compile(text).expect_err(text);
            assert_eq!(fault.reason, reason, "{text}");
            if at.is_some() {
                assert_eq!(fault.at, at, "{text}");
            }
            assert!(!fault.to_string().contains("needle"), "{fault}");
        }
        assert!(Expression::compile(&chain).is_ok());
        let shown = format!("{:?}", Expression::compile("'needle' in tags"));
        assert!(!shown.contains("needle"), "{shown}");
    }

    /// Whatever is sent, the parser ends and nothing panics, on the stack of a worker thread.
    #[test]
    fn odd_texts_end_in_an_answer() {
        let pieces = [
            "(", "[", "{", "!", "-", "a.", "tags[", "1?", "x(", "'", "\u{0}", "é", "?:",
        ];
        for piece in pieces {
            for times in [1, 31, 500] {
                let text = piece.repeat(times);
                let compile = move || drop(Expression::compile(&text));
                let small = std::thread::Builder::new().stack_size(1 << 20);
                let ended = small.spawn(compile).expect("a thread").join();
                assert!(ended.is_ok(), "{piece} {times}");
            }
        }
    }
}
