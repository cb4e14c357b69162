//! The program itself, as its users start it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// The program under measurement.
pub fn recant() -> Command {
    Command::new(env!("CARGO_BIN_EXE_recant"))
}

/// `recant serve`; killed when dropped.
pub struct Server {
    process: Child,
    /// Its URL.
    pub address: String,
}

impl Server {
    /// Serves `data`, and waits until it is ready.
    pub fn start(data: &Path) -> Self {
        let mut process = recant()
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let address = line.trim().rsplit(' ').next().expect("an address");
        let address = address.to_owned();
        let server = Self { process, address };
        let ready = format!("{}/readyz", server.address);
        while ureq::get(&ready).call().is_err() {
            thread::sleep(Duration::from_millis(5));
        }
        server
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
