//! What all plots are made of.

use std::fmt::Write;

use super::markup::escape;
use super::scale::Scale;

/// Colours and shapes of marks; further series begin anew, with the next dashes.
const SERIES: usize = 12;

/// Dashes of lines, by series: with the shapes of marks, series differ without colour.
const DASHES: [&str; 4] = ["none", "6 3", "2 3", "9 3 2 3"];

/// The rectangle that values are drawn in, in user units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// An SVG in the making.
pub(super) struct Drawing {
    width: f64,
    height: f64,
    body: String,
}

impl Drawing {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        self.body
            .write_fmt(element)
            .expect("a string takes everything");
        self.body.push('\n');
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.add(format_args!(
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// Text whose `anchor` is `start`, `middle` or `end`.
    pub(super) fn text(&mut self, class: &str, at: (f64, f64), anchor: &str, text: &str) {
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            at.0,
            at.1,
            escape(text)
        ));
    }

    /// Text that reads upwards.
    pub(super) fn upright_text(&mut self, at: (f64, f64), text: &str) {
        let (x, y) = at;
        self.add(format_args!(
            "<text class=\"name\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" \
             transform=\"rotate(-90 {x:.1} {y:.1})\">{}</text>",
            escape(text)
        ));
    }

    /// The line of a series through its points.
    pub(super) fn path(&mut self, series: usize, points: &[(f64, f64)]) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let nth = series % SERIES;
        self.add(format_args!(
            "<polyline class=\"line s{nth}\" stroke-dasharray=\"{}\" points=\"{}\"/>",
            DASHES[(series + series / SERIES) % DASHES.len()],
            points.join(" ")
        ));
    }

    /// The mark of a series.
    pub(super) fn mark(&mut self, series: usize, (x, y): (f64, f64)) {
        let nth = series % SERIES;
        let r = 4.5;
        let polygon = |corners: &[(f64, f64)]| {
            let corners = corners
                .iter()
                .map(|(a, b)| format!("{:.1},{:.1}", x + a, y + b));
            let corners = corners.collect::<Vec<_>>().join(" ");
            format!("<polygon class=\"mark s{nth}\" points=\"{corners}\"/>")
        };
        let strokes = |d: String| format!("<path class=\"stroke s{nth}\" d=\"{d}\"/>");
        let shape = match nth {
            0 => format!("<circle class=\"mark s{nth}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r}\"/>"),
            1 => polygon(&[(-r, -r), (r, -r), (r, r), (-r, r)]),
            2 => polygon(&[(0.0, -r), (r, r), (-r, r)]),
            3 => polygon(&[
                (0.0, -r - 1.0),
                (r + 1.0, 0.0),
                (0.0, r + 1.0),
                (-r - 1.0, 0.0),
            ]),
            4 => polygon(&[(-r, -r), (r, -r), (0.0, r)]),
            5 => strokes(format!("M{:.1} {y:.1}h9M{x:.1} {:.1}v9", x - r, y - r)),
            6 => strokes(format!("M{:.1} {:.1}l9 9m0 -9l-9 9", x - r, y - r)),
            7 => polygon(&[(-r, -r), (r, 0.0), (-r, r)]),
            8 => polygon(&[(r, -r), (r, r), (-r, 0.0)]),
            9 => format!("<circle class=\"hollow s{nth}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r}\"/>"),
            10 => format!(
                "<rect class=\"hollow s{nth}\" x=\"{:.1}\" y=\"{:.1}\" width=\"9\" height=\"9\"/>",
                x - r,
                y - r
            ),
            _ => polygon(&[(-r, -1.5), (r, -1.5), (r, 1.5), (-r, 1.5)]),
        };
        self.add(format_args!("{shape}"));
    }

    /// A frame with both axes named and marked.
    pub(super) fn axes(&mut self, frame: Frame, x: &Scale, y: &Scale, x_name: &str, y_name: &str) {
        let Frame {
            left,
            right,
            top,
            bottom,
        } = frame;
        for (value, name) in y.marks() {
            let at = y.place(value);
            self.line("grid", (left, at), (right, at));
            self.text("mark-name", (left - 6.0, at + 4.0), "end", &name);
        }
        self.x_axis(frame, x, x_name);
        self.line("axis", (left, top), (left, bottom));
        self.upright_text((left - 52.0, (top + bottom) / 2.0), y_name);
    }

    /// The lower edge of a frame, named and marked.
    pub(super) fn x_axis(&mut self, frame: Frame, x: &Scale, name: &str) {
        let Frame {
            left,
            right,
            top,
            bottom,
        } = frame;
        for (value, name) in x.marks() {
            let at = x.place(value);
            self.line("grid", (at, top), (at, bottom));
            self.text("mark-name", (at, bottom + 16.0), "middle", &name);
        }
        self.line("axis", (left, bottom), (right, bottom));
        self.text(
            "name",
            ((left + right) / 2.0, bottom + 34.0),
            "middle",
            name,
        );
    }

    /// A line across the frame with its name at the right.
    pub(super) fn level(&mut self, frame: Frame, class: &str, y: f64, name: &str) {
        self.line(class, (frame.left, y), (frame.right, y));
        self.text("level-name", (frame.right - 4.0, y - 4.0), "end", name);
    }

    /// Names of series, one below the other, from `at` on.
    pub(super) fn legend(&mut self, at: (f64, f64), names: &[(usize, &str)]) {
        for (nth, (series, name)) in names.iter().enumerate() {
            let y = at.1 + 18.0 * nth as f64;
            self.path(*series, &[(at.0, y), (at.0 + 26.0, y)]);
            self.mark(*series, (at.0 + 13.0, y));
            self.text("legend", (at.0 + 34.0, y + 4.0), "start", name);
        }
    }

    /// The figure, with a title, a description, and a caption that is the title.
    pub(super) fn finish(self, id: &str, title: &str, description: &str) -> String {
        let (title, description) = (escape(title), escape(description));
        format!(
            "<figure>\n<svg viewBox=\"0 0 {:.0} {:.0}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-description\">\n\
             <title id=\"{id}-title\">{title}</title>\n\
             <desc id=\"{id}-description\">{description}</desc>\n{}</svg>\n\
             <figcaption>{title}</figcaption>\n</figure>\n",
            self.width, self.height, self.body
        )
    }
}
