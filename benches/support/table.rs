//! Tables of figures, and what a benchmark says about many repetitions of the same thing.
#![allow(dead_code)]

use std::time::{Duration, Instant};

/// Durations of repetitions.
#[derive(Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// The times of `repetitions` calls of `work`, after one that is not counted.
    pub fn of(repetitions: usize, mut work: impl FnMut()) -> Self {
        work();
        let mut times = Self::default();
        for _ in 0..repetitions {
            let started = Instant::now();
            work();
            times.push(started.elapsed());
        }
        times
    }

    /// Adds one repetition.
    pub fn push(&mut self, time: Duration) {
        let at = self.0.partition_point(|held| *held <= time);
        self.0.insert(at, time);
    }

    /// Number of repetitions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that half of the repetitions stayed within.
    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// The time that `percent` of the repetitions stayed within.
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0[rank - 1]
    }
}

/// The middle one of some numbers.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// A time in the unit that shows it best.
pub fn shown(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1e-3 {
        format!("{:.1} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

/// Rows of text under a header, printed with the columns aligned.
#[derive(Debug)]
pub struct Table(Vec<Vec<String>>);

impl Table {
    /// A table with these columns.
    pub fn new(columns: &[&str]) -> Self {
        Self(vec![columns.iter().map(|name| name.to_string()).collect()])
    }

    /// Adds a row, one text for each column.
    pub fn row(&mut self, cells: Vec<String>) {
        self.0.push(cells);
    }

    /// Prints it, numbers to the right.
    pub fn print(&self) {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.0 {
            let cells = row.iter().zip(&widths);
            let cells: Vec<String> = cells
                .map(|(cell, &width)| format!("{cell:>width$}"))
                .collect();
            println!("{}", cells.join("  "));
        }
    }
}
