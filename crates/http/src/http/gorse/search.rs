//! Items by the words of their comments.

use std::sync::Arc;

use super::refusal::Refusal;
use crate::http::problem::{INTERNAL, Problem};
use recant_service::Catalogue;
use recant_types::ItemDescription;

/// Up to `n` items whose comments have every word of `text`, in any case: those first that have the
/// words as they stand, then in the order of ids. A look at every item, beside the async threads.
pub(super) async fn search(
    catalogue: Catalogue,
    text: &str,
    n: usize,
) -> Result<Vec<Arc<ItemDescription>>, Refusal> {
    let phrase = folded(text);
    let found = tokio::task::spawn_blocking(move || find(&catalogue, &phrase, n)).await;
    found.map_err(|_| {
        let detail = "repeat the request; the log says more";
        Problem::new(&INTERNAL, detail).into()
    })
}

fn find(catalogue: &Catalogue, phrase: &str, n: usize) -> Vec<Arc<ItemDescription>> {
    let words: Vec<&str> = phrase.split(' ').collect();
    let (mut whole, mut scattered) = (Vec::new(), Vec::new());
    for item in catalogue.items_after(None) {
        let comment = folded(item.title.as_deref().unwrap_or_default());
        if comment.contains(phrase) {
            whole.push(item);
        } else if scattered.len() < n && words.iter().all(|word| comment.contains(word)) {
            scattered.push(item);
        }
        if whole.len() == n {
            break;
        }
    }
    whole.append(&mut scattered);
    whole.truncate(n);
    whole
}

/// A text in lower case, with one blank between words.
fn folded(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ")
}
