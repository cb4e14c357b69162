//! Tables in plain text.

/// Columns as wide as what they hold; the first to the left, the others to the right.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(header: &[&str]) -> Self {
        Self {
            rows: vec![header.iter().map(|name| (*name).to_owned()).collect()],
        }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(super) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            text += "  ";
            text += cells.join("  ").trim_end();
            text.push('\n');
        }
        text
    }
}

/// A figure with as many digits as are of interest; a dash where there is none.
pub(super) fn shown(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value == 0.0 => "0".to_owned(),
        Some(value) if value.abs() < 1e-3 || value.abs() >= 1e5 => format!("{value:.1e}"),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["method", "s"]);
        table.row(vec!["größer".to_owned(), "1.25".to_owned()]);
        assert_eq!(table.text(), "  method     s\n  größer  1.25\n");
    }

    #[test]
    fn figures_are_short() {
        for (value, expected) in [
            (None, "–"),
            (Some(0.0), "0"),
            (Some(1.23456e-7), "1.2e-7"),
            (Some(0.123456), "0.1235"),
            (Some(12.345), "12.3"),
            (Some(1234.5), "1234"),
            (Some(2.5e9), "2.5e9"),
        ] {
            assert_eq!(shown(value), expected);
        }
    }
}
