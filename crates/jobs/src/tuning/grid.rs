//! Settings named one by one.

use recant_types::{IalsHyperparameters, InvalidHyperparameter};

/// Most settings a grid may have.
const SETTINGS_MAX: usize = 10_000;

/// Values for each hyper-parameter; a setting for every combination of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Grid {
    alpha0: Vec<f64>,
    lambda: Vec<f64>,
    nu: Vec<f64>,
    dim: Vec<usize>,
}

/// Why text is no grid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidGrid {
    /// Not of the form `name=value,value`.
    #[error("a grid is written alpha0=0.1,0.3: a name, an equals sign, values with commas between")]
    Form,
    /// The name is none of the hyper-parameters'.
    #[error("a grid is of alpha0, lambda, nu or dim")]
    Name,
    /// The same name twice.
    #[error("{name} is given twice: give all its values at once")]
    Twice {
        /// Which.
        name: &'static str,
    },
    /// A value that is no number, or out of range.
    #[error(transparent)]
    Value(#[from] InvalidHyperparameter),
    /// More settings than anybody waits for.
    #[error("the grid has more than {SETTINGS_MAX} settings: give fewer values")]
    TooLarge,
}

impl Grid {
    /// The grid that `lines` describe, each like `lambda=0.01,0.02`. What no line names stays as
    /// it is at the start.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidGrid> {
        let mut grid = Self::default();
        for line in lines {
            let (name, values) = line.split_once('=').ok_or(InvalidGrid::Form)?;
            let numbers = |text: &str| -> Result<Vec<f64>, InvalidGrid> {
                let values = text.split(',').map(|value| value.trim().parse());
                values
                    .collect::<Result<_, _>>()
                    .map_err(|_| InvalidGrid::Form)
            };
            match name.trim() {
                "alpha0" => put("alpha0", &mut grid.alpha0, numbers(values)?)?,
                "lambda" => put("lambda", &mut grid.lambda, numbers(values)?)?,
                "nu" => put("nu", &mut grid.nu, numbers(values)?)?,
                "dim" => {
                    let dims = values.split(',').map(|value| value.trim().parse());
                    let dims = dims.collect::<Result<_, _>>();
                    put("dim", &mut grid.dim, dims.map_err(|_| InvalidGrid::Form)?)?;
                }
                _ => return Err(InvalidGrid::Name),
            }
        }
        let sizes = [
            grid.alpha0.len(),
            grid.lambda.len(),
            grid.nu.len(),
            grid.dim.len(),
        ];
        let settings = sizes
            .iter()
            .map(|size| (*size).max(1))
            .try_fold(1usize, usize::checked_mul);
        if settings.is_none_or(|settings| settings > SETTINGS_MAX) {
            return Err(InvalidGrid::TooLarge);
        }
        for setting in grid.settings(IalsHyperparameters::default()) {
            setting.checked()?;
        }
        Ok(grid)
    }

    /// Every combination, with `start`'s value where the grid has none.
    pub fn settings(&self, start: IalsHyperparameters) -> Vec<IalsHyperparameters> {
        let or = |values: &[f64], start: f64| match values {
            [] => vec![start],
            values => values.to_vec(),
        };
        let dims = if self.dim.is_empty() {
            vec![start.dim]
        } else {
            self.dim.clone()
        };
        let mut settings = Vec::new();
        for dim in dims {
            for nu in or(&self.nu, start.nu) {
                for alpha0 in or(&self.alpha0, start.alpha0) {
                    for lambda in or(&self.lambda, start.lambda) {
                        settings.push(IalsHyperparameters {
                            dim,
                            alpha0,
                            lambda,
                            nu,
                        });
                    }
                }
            }
        }
        settings
    }
}

fn put<T>(name: &'static str, slot: &mut Vec<T>, values: Vec<T>) -> Result<(), InvalidGrid> {
    if !slot.is_empty() {
        return Err(InvalidGrid::Twice { name });
    }
    *slot = values;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_a_setting_and_the_rest_stays() {
        let start = IalsHyperparameters::default();
        let grid = Grid::parse(["lambda=0.01, 0.02", "alpha0=0.1,0.3,1"]).expect("well formed");
        let settings = grid.settings(start);
        assert_eq!(settings.len(), 6);
        assert!(
            settings
                .iter()
                .all(|s| s.dim == start.dim && s.nu == start.nu)
        );
        assert_eq!((settings[5].alpha0, settings[5].lambda), (1.0, 0.02));
        assert_eq!(Grid::parse([]).expect("empty").settings(start), [start]);
        let dims = Grid::parse(["dim=8,16"])
            .expect("whole numbers")
            .settings(start);
        assert_eq!((dims[0].dim, dims[1].dim), (8, 16));
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        for (lines, expected) in [
            (vec!["lambda"], InvalidGrid::Form),
            (vec!["lambda="], InvalidGrid::Form),
            (vec!["lambda=0.1,x"], InvalidGrid::Form),
            (vec!["dim=1.5"], InvalidGrid::Form),
            (vec!["gamma=1"], InvalidGrid::Name),
            (vec!["nu=1", "nu=0"], InvalidGrid::Twice { name: "nu" }),
        ] {
            assert_eq!(
                Grid::parse(lines.iter().copied()),
                Err(expected),
                "{lines:?}"
            );
        }
        let negative = Grid::parse(["lambda=0.1,-1"]).expect_err("out of range");
        assert!(
            negative.to_string().starts_with("lambda must be"),
            "{negative}"
        );
        let many = format!("lambda={}", vec!["1"; 101].join(","));
        let more = format!("alpha0={}", vec!["1"; 101].join(","));
        assert_eq!(Grid::parse([&*many, &*more]), Err(InvalidGrid::TooLarge));
    }
}
