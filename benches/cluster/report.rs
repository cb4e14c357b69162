//! The table of figures, each beside its aim; a line is told as soon as it is known.

use crate::support::table::Table;

/// Figures with their aims.
#[derive(Default)]
pub struct Report(Vec<[String; 3]>);

impl Report {
    /// Adds a figure, and tells it.
    pub fn tell(&mut self, what: &str, figure: String, aim: &str) {
        println!("{what}: {figure} (aim: {aim})");
        self.0.push([what.to_owned(), figure, aim.to_owned()]);
    }

    /// Prints all of it.
    pub fn print(&self) {
        let mut table = Table::new(&["what", "figure", "aim"]);
        for line in &self.0 {
            table.row(line.to_vec());
        }
        table.print();
    }
}
