//! The two halves of a NeuMF score: the tower of layers, and the head that adds up.
//!
//! All matrices hold one pair after another, so that a layer's work on a batch is one product of
//! matrices. What a batch keeps in [`Batch::layers`], for L layers: the tower's input at 0, outputs
//! of layer l at l, and from L + 1 on the same again for tangents and, later, for gradients.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;

use crate::network::{Batch, sized};
use recant_core::simd::{dot_f32, vectorised};

/// One layer's place among the parameters of the tower.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    start: usize,
}

impl Layer {
    /// Weights, outputs × inputs, one column after another.
    pub(super) fn weights(&self) -> Range<usize> {
        self.start..self.start + self.outputs * self.inputs
    }

    fn biases(&self) -> Range<usize> {
        let start = self.weights().end;
        start..start + self.outputs
    }

    fn matrix<'a>(&self, parameters: &'a [f32]) -> MatRef<'a, f32> {
        columns(&parameters[self.weights()], self.outputs)
    }
}

fn columns(values: &[f32], rows: usize) -> MatRef<'_, f32> {
    MatRef::from_column_major_slice(values, rows, values.len() / rows)
}

fn columns_mut(values: &mut [f32], rows: usize) -> MatMut<'_, f32> {
    let count = values.len() / rows;
    MatMut::from_column_major_slice_mut(values, rows, count)
}

fn product(into: MatMut<'_, f32>, accumulate: Accum, a: MatRef<'_, f32>, b: MatRef<'_, f32>) {
    matmul(into, accumulate, a, b, 1.0, Par::Seq);
}

/// The layers: widths of the input and of each output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tower<'a> {
    pub(super) widths: &'a [usize],
}

impl Tower<'_> {
    pub(super) fn layers(&self) -> impl DoubleEndedIterator<Item = Layer> + ExactSizeIterator {
        let mut layers = Vec::with_capacity(self.widths.len());
        let mut start = 0;
        for pair in self.widths.windows(2) {
            let layer = Layer {
                inputs: pair[0],
                outputs: pair[1],
                start,
            };
            start = layer.biases().end;
            layers.push(layer);
        }
        layers.into_iter()
    }

    /// Parameters of all layers.
    pub(super) fn parameters(&self) -> usize {
        self.layers().last().map_or(0, |layer| layer.biases().end)
    }

    /// Layer outputs of a batch. `skip` is where the MLP part of a row begins.
    pub(super) fn forward(&self, parameters: &[f32], skip: usize, batch: &mut Batch) {
        let mut layers = std::mem::take(&mut batch.layers);
        layers.resize(2 * self.widths.len(), Vec::new());
        concatenate(
            &batch.users,
            &batch.items,
            skip,
            batch.pairs,
            &mut layers[0],
        );
        for (at, layer) in self.layers().enumerate() {
            let (before, after) = layers.split_at_mut(at + 1);
            let output = sized(&mut after[0], layer.outputs * batch.pairs);
            let input = columns(&before[at], layer.inputs);
            let weights = layer.matrix(parameters);
            product(
                columns_mut(output, layer.outputs),
                Accum::Replace,
                weights,
                input,
            );
            rectify(output, &parameters[layer.biases()]);
        }
        batch.layers = layers;
    }

    /// Derivatives of the layer outputs along the batch's tangents and a direction of parameters.
    pub(super) fn tangent(
        &self,
        parameters: &[f32],
        direction: Option<&[f32]>,
        skip: usize,
        batch: &mut Batch,
    ) {
        let mut layers = std::mem::take(&mut batch.layers);
        let (values, tangents) = layers.split_at_mut(self.widths.len());
        let (users, items) = (&batch.user_tangents, &batch.item_tangents);
        let rows_are_frozen = users.is_empty();
        if !rows_are_frozen {
            concatenate(users, items, skip, batch.pairs, &mut tangents[0]);
        }
        for (at, layer) in self.layers().enumerate() {
            let (before, after) = tangents.split_at_mut(at + 1);
            let tangent = sized(&mut after[0], layer.outputs * batch.pairs);
            let outputs = layer.outputs;
            if at == 0 && rows_are_frozen {
                tangent.fill(0.0);
            } else {
                let moved = columns(&before[at], layer.inputs);
                let weights = layer.matrix(parameters);
                product(
                    columns_mut(tangent, outputs),
                    Accum::Replace,
                    weights,
                    moved,
                );
            }
            if let Some(direction) = direction {
                let (change, input) = (layer.matrix(direction), columns(&values[at], layer.inputs));
                product(columns_mut(tangent, outputs), Accum::Add, change, input);
                add_to_each(tangent, &direction[layer.biases()]);
            }
            mask(tangent, &values[at + 1]);
        }
        batch.layers = layers;
    }

    /// From the gradients by the last outputs, which the head left, to those by rows and layers.
    pub(super) fn backward(
        &self,
        parameters: &[f32],
        skip: usize,
        batch: &mut Batch,
        mut gradient: Option<&mut [f32]>,
    ) {
        let mut layers = std::mem::take(&mut batch.layers);
        let (values, gradients) = layers.split_at_mut(self.widths.len());
        for (at, layer) in self.layers().enumerate().rev() {
            let (before, after) = gradients.split_at_mut(at + 1);
            mask(&mut after[0], &values[at + 1]);
            let above = columns(&after[0], layer.outputs);
            let input = columns(&values[at], layer.inputs);
            if let Some(gradient) = gradient.as_deref_mut() {
                let by_weights = columns_mut(&mut gradient[layer.weights()], layer.outputs);
                product(by_weights, Accum::Add, above, input.transpose());
                add_up(&after[0], &mut gradient[layer.biases()]);
            }
            if at == 0 && batch.layers_only {
                continue;
            }
            let earlier = sized(&mut before[at], layer.inputs * batch.pairs);
            let weights = layer.matrix(parameters);
            product(
                columns_mut(earlier, layer.inputs),
                Accum::Replace,
                weights.transpose(),
                above,
            );
        }
        if batch.layers_only {
            batch.layers = layers;
            return;
        }
        let half = self.widths[0] / 2;
        let inputs = gradients[0].chunks_exact(2 * half);
        let users = batch.user_gradients.chunks_exact_mut(skip + half);
        let items = batch.item_gradients.chunks_exact_mut(skip + half);
        for (input, (user, item)) in inputs.zip(users.zip(items)) {
            user[skip..].copy_from_slice(&input[..half]);
            item[skip..].copy_from_slice(&input[half..]);
        }
        batch.layers = layers;
    }
}

/// What the head knows of the shapes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    /// Dimensions of the GMF part.
    pub(super) factors: usize,
    /// Dimensions of the MLP part of a row.
    pub(super) embedding: usize,
    /// Outputs of the tower.
    pub(super) output: usize,
}

impl Head {
    /// A weight for each factor and each output of the tower, and a bias.
    pub(super) fn parameters(&self) -> usize {
        self.factors + self.output + 1
    }

    fn width(&self) -> usize {
        self.factors + self.embedding
    }

    /// Place of the tower's outputs in [`Batch::layers`], and of what belongs to them.
    fn places(&self, batch: &Batch) -> (usize, usize) {
        let half = batch.layers.len() / 2;
        (half - 1, 2 * half - 1)
    }

    pub(super) fn forward(&self, head: &[f32], batch: &mut Batch) {
        let (by_factor, by_output) = head.split_at(self.factors);
        let bias = by_output[self.output];
        let (last, _) = self.places(batch);
        let outputs = batch.layers[last].chunks_exact(self.output);
        let users = batch.users.chunks_exact(self.width());
        let items = batch.items.chunks_exact(self.width());
        let rows = users.zip(items).zip(outputs);
        for (score, ((user, item), output)) in batch.scores.iter_mut().zip(rows) {
            let factors = by_factor.iter().zip(user.iter().zip(item));
            let product: f32 = factors.map(|(weight, (p, q))| weight * p * q).sum();
            *score = product + dot_f32(&by_output[..self.output], output) + bias;
        }
    }

    pub(super) fn tangent(&self, head: &[f32], direction: Option<&[f32]>, batch: &mut Batch) {
        let (by_factor, by_output) = head.split_at(self.factors);
        let (last, tangent) = self.places(batch);
        for pair in 0..batch.pairs {
            let row = pair * self.width()..pair * self.width() + self.factors;
            let (user, item) = (&batch.users[row.clone()], &batch.items[row.clone()]);
            let output = pair * self.output..(pair + 1) * self.output;
            let mut sum = dot_f32(
                &by_output[..self.output],
                &batch.layers[tangent][output.clone()],
            );
            if !batch.user_tangents.is_empty() {
                let (user_direction, item_direction) =
                    (&batch.user_tangents[row.clone()], &batch.item_tangents[row]);
                for k in 0..self.factors {
                    sum +=
                        by_factor[k] * (user_direction[k] * item[k] + user[k] * item_direction[k]);
                }
            }
            if let Some(direction) = direction {
                let (factor_direction, output_direction) = direction.split_at(self.factors);
                for k in 0..self.factors {
                    sum += factor_direction[k] * user[k] * item[k];
                }
                sum += dot_f32(
                    &output_direction[..self.output],
                    &batch.layers[last][output],
                );
                sum += output_direction[self.output];
            }
            batch.tangents[pair] = sum;
        }
    }

    /// Writes the GMF part of the rows' gradients, and where the tower takes over those by its
    /// outputs.
    pub(super) fn backward(&self, head: &[f32], batch: &mut Batch, gradient: Option<&mut [f32]>) {
        let (by_factor, by_output) = head.split_at(self.factors);
        let (last, gradients) = self.places(batch);
        sized(&mut batch.layers[gradients], self.output * batch.pairs);
        for pair in 0..batch.pairs {
            let coefficient = batch.coefficients[pair];
            let row = pair * self.width();
            for (k, weight) in by_factor.iter().enumerate() {
                let weighted = coefficient * weight;
                batch.user_gradients[row + k] = weighted * batch.items[row + k];
                batch.item_gradients[row + k] = weighted * batch.users[row + k];
            }
            let output = pair * self.output..(pair + 1) * self.output;
            let by_output_gradient = batch.layers[gradients][output].iter_mut().zip(by_output);
            by_output_gradient.for_each(|(value, weight)| *value = coefficient * weight);
        }
        if let Some(gradient) = gradient {
            self.add_gradient(batch, last, gradient);
        }
    }

    fn add_gradient(&self, batch: &Batch, last: usize, gradient: &mut [f32]) {
        let (by_factor, by_output) = gradient.split_at_mut(self.factors);
        for (pair, coefficient) in batch.coefficients.iter().enumerate() {
            let row = pair * self.width();
            for (k, sum) in by_factor.iter_mut().enumerate() {
                *sum += coefficient * batch.users[row + k] * batch.items[row + k];
            }
            let output = &batch.layers[last][pair * self.output..(pair + 1) * self.output];
            let sums = by_output.iter_mut().zip(output);
            sums.for_each(|(sum, value)| *sum += coefficient * value);
            by_output[self.output] += coefficient;
        }
    }
}

/// The MLP parts of both rows of each pair, one below the other.
fn concatenate(users: &[f32], items: &[f32], skip: usize, pairs: usize, into: &mut Vec<f32>) {
    into.clear();
    let width = users.len() / pairs.max(1);
    for (user, item) in users.chunks_exact(width).zip(items.chunks_exact(width)) {
        into.extend_from_slice(&user[skip..]);
        into.extend_from_slice(&item[skip..]);
    }
}

/// `ReLU(column + biases)` for each column.
fn rectify(values: &mut [f32], biases: &[f32]) {
    vectorised(
        Arch::new(),
        #[inline(always)]
        || {
            for column in values.chunks_exact_mut(biases.len()) {
                for (value, bias) in column.iter_mut().zip(biases) {
                    *value = (*value + bias).max(0.0);
                }
            }
        },
    );
}

fn add_to_each(values: &mut [f32], what: &[f32]) {
    for column in values.chunks_exact_mut(what.len()) {
        let sums = column.iter_mut().zip(what);
        sums.for_each(|(value, more)| *value += more);
    }
}

fn add_up(columns: &[f32], into: &mut [f32]) {
    for column in columns.chunks_exact(into.len()) {
        let sums = into.iter_mut().zip(column);
        sums.for_each(|(sum, value)| *sum += value);
    }
}

/// Zero where the output of the layer is zero: the derivative of ReLU, 0 at 0.
fn mask(values: &mut [f32], outputs: &[f32]) {
    vectorised(
        Arch::new(),
        #[inline(always)]
        || {
            for (value, output) in values.iter_mut().zip(outputs) {
                *value = if *output > 0.0 { *value } else { 0.0 };
            }
        },
    );
}
