//! The program as its users meet it: commands, a server, real sockets and files.
//!
//! One binary for all of them: linking is what a test costs most.

#![allow(
    clippy::too_many_lines,
    reason = "a test tells one story from beginning to end"
)]

mod api_keys;
mod arranged;
mod because;
mod content;
mod described_answers;
mod doctor_command;
mod drp;
mod erase_command;
mod export_command;
mod feedback;
mod filters;
mod first_release;
mod fuzz_corpus;
mod gorse;
mod heavy_weights;
mod import_command;
mod import_to_server;
mod items;
mod leaks;
mod lists;
mod lost_log;
mod maintenance;
mod neural_service;
mod nodes;
mod old_ids;
mod open_keys;
mod receipts;
mod recommend_lists;
mod remnants;
mod requesters;
mod restart;
mod restrictions;
mod same_answer;
mod scan_command;
mod scripted;
mod service_http;
mod support;
mod tls;
mod traces;
mod tuning_and_audit;
mod tutorial;
mod unread_batches;
mod users;
mod webhook_receiver;
mod webhooks;
mod worker_stopped;
