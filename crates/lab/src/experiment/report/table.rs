//! Every figure of a comparison.

use super::markup::escape;
use crate::experiment::summary::{COLUMNS, Column, Comparison, Line, Section, spread};
use recant_eval::Group;

/// The tables of a comparison: one for each section; for those that depend on it, one for each
/// group of users, of which the first is open.
pub(super) fn tables(comparison: &Comparison<'_>) -> String {
    let last = comparison.checkpoints().len().saturating_sub(1);
    let sections = Section::ALL.into_iter().map(|section| {
        let table = |group| table(comparison, section, last, group);
        let folded = |group, name: &str| {
            format!(
                "<details>\n<summary>{}, {name}</summary>\n{}</details>\n",
                section.title(),
                table(group)
            )
        };
        if section.is_by_group() {
            [
                table(Group::All),
                folded(Group::Affected, "affected users"),
                folded(Group::Deleted, "users who lost something"),
            ]
            .concat()
        } else {
            table(Group::All)
        }
    });
    let tables: String = sections.collect();
    tables + &earlier(comparison)
}

/// The checkpoints of a sequence before the last.
fn earlier(comparison: &Comparison<'_>) -> String {
    let checkpoints = comparison.checkpoints();
    let before = checkpoints.len().saturating_sub(1);
    let table = |(nth, deletions): (usize, &usize)| {
        format!(
            "<details>\n<summary>After {deletions} deletions</summary>\n{}</details>\n",
            table(comparison, Section::Consistency, nth, Group::All)
        )
    };
    checkpoints[..before]
        .iter()
        .enumerate()
        .map(table)
        .collect()
}

fn table(comparison: &Comparison<'_>, section: Section, nth: usize, group: Group) -> String {
    let columns: Vec<&Column> = COLUMNS
        .iter()
        .filter(|column| column.section == section)
        .collect();
    let header: String = columns
        .iter()
        .map(|column| {
            format!(
                "<th scope=\"col\">{}<br><small>{}</small></th>",
                escape(column.name.trim()),
                escape(column.meaning)
            )
        })
        .collect();
    let rows: String = comparison
        .lines
        .iter()
        .map(|line| row(line, &columns, nth, group))
        .collect();
    format!(
        "<div class=\"wide\"><table>\n<caption>{}{}</caption>\n<thead><tr>\
         <th scope=\"col\">approach</th>{header}</tr></thead>\n<tbody>\n{rows}</tbody>\n\
         </table></div>\n",
        section.title(),
        users(comparison, section, nth, group)
    )
}

/// Who is measured.
fn users(comparison: &Comparison<'_>, section: Section, nth: usize, group: Group) -> String {
    let name = match group {
        Group::All => "all users",
        Group::Affected => "affected users",
        Group::Deleted => "users who lost something",
    };
    let first = comparison.lines.iter().flat_map(|line| &line.runs).next();
    let checkpoint = first.and_then(|run| run.measured.checkpoints.get(nth));
    match checkpoint.filter(|_| section.is_by_group()) {
        Some(checkpoint) => {
            format!(
                ", {name} ({} of them)",
                checkpoint.consistency.get(group).users
            )
        }
        None => String::new(),
    }
}

fn row(line: &Line<'_>, columns: &[&Column], nth: usize, group: Group) -> String {
    let cells: String = if line.runs.is_empty() {
        format!(
            "<td class=\"text\" colspan=\"{}\">failed</td>",
            columns.len()
        )
    } else {
        columns
            .iter()
            .map(|column| {
                let figure = spread(line.spread(column, nth, group));
                format!("<td>{}</td>", escape(&figure))
            })
            .collect()
    };
    format!(
        "<tr><th scope=\"row\">{}</th>{cells}</tr>\n",
        escape(&line.label)
    )
}
