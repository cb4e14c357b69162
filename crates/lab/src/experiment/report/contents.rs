//! The overview: every method in one table.

use super::heading::{anchor, heading};
use super::markup::escape;
use crate::experiment::run_record::Arm;
use crate::experiment::summary::{Column, Comparison, Line, figure};
use recant_eval::Group;

/// One line for each comparison and method, with what it is to be judged by.
pub(super) fn overview(comparisons: &[Comparison<'_>]) -> String {
    let rows: String = comparisons.iter().enumerate().map(rows).collect();
    format!(
        "<h2>Overview</h2>\n<p>A method is <em>within the floor</em> where its distance to the \
         retrained model is at most that between two retrains.</p>\n\
         <div class=\"wide\"><table>\n<caption>Every method, over all users</caption>\n\
         <thead><tr><th scope=\"col\">comparison</th><th scope=\"col\">method</th>\
         <th scope=\"col\">× faster</th><th scope=\"col\">distance</th>\
         <th scope=\"col\">floor</th><th scope=\"col\">ceiling</th>\
         <th scope=\"col\">within the floor</th><th scope=\"col\">change of NDCG@20</th>\
         <th scope=\"col\">AUC − retrained</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

fn rows((nth, comparison): (usize, &Comparison<'_>)) -> String {
    let last = comparison.checkpoints().len().saturating_sub(1);
    let mean = |line: &Line<'_>, name| {
        let spread = line.spread(Column::named(name), last, Group::All);
        spread.map(|spread| spread.mean)
    };
    let of = |arm| {
        comparison
            .line(&arm)
            .and_then(|line| mean(line, "distance"))
    };
    let (floor, ceiling) = (of(Arm::Retrain), of(Arm::Nothing));
    let methods = comparison
        .lines
        .iter()
        .filter(|line| matches!(line.arm, Arm::Method(_)));
    methods
        .map(|line| {
            let distance = mean(line, "distance");
            let within = match distance.zip(floor) {
                Some((distance, floor)) if distance <= floor => "yes",
                Some(_) => "no",
                None => "–",
            };
            format!(
                "<tr><th scope=\"row\"><a href=\"#{}\">{}</a></th><td class=\"text\">{}</td>\
                 <td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{within}</td><td>{}</td><td>{}</td>\
                 </tr>\n",
                anchor(nth),
                heading(comparison),
                escape(&line.label),
                figure(mean(line, "× faster")),
                figure(distance),
                figure(floor),
                figure(ceiling),
                figure(mean(line, "NDCG@20 change")),
                figure(mean(line, "… − retrained")),
            )
        })
        .collect()
}
