//! Trains and serves in one process, without HTTP: import, train, recommend, erase, recommend.
//!
//! `cargo run --release --example train_and_serve`

mod support;

use std::error::Error;
use std::time::Duration;

use recant_service::{RecommendQuery, Service, Subject};
use recant_types::{ErasureTarget, UserId};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let catalogue = support::catalogue()?;
    let directory = tempfile::tempdir()?;
    let (service, guard) = support::serve(&catalogue, directory.path()).await?;

    let user = UserId::new(&catalogue.users[0])?;
    println!("somebody's list:");
    show(&service, &user).await?;

    let accepted = service
        .erase(ErasureTarget::User(user.clone()), None)
        .await?;
    let patience = Duration::from_secs(10);
    let record = service.wait_forgotten(accepted.record.id, patience).await?;
    let status = record.map(|record| record.status);
    println!("and after everything of theirs was erased ({status:?}), the popular ones:");
    show(&service, &user).await?;

    guard.stop().await;
    Ok(())
}

async fn show(service: &Service, user: &UserId) -> Result<(), Box<dyn Error>> {
    let query = RecommendQuery::new(Subject::User(user.clone()), 5);
    let list = service.recommend(query).await?;
    for scored in list.items {
        let title = scored.title.as_deref().unwrap_or("untitled");
        println!("  {:7.3}  {title}", scored.score);
    }
    Ok(())
}
