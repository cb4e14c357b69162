//! The program itself, as its users start it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Environment variable that names another program than the one that was built with the benchmark.
pub const BINARY_VARIABLE: &str = "RECANT_BINARY";

/// The program under measurement.
pub fn recant() -> Command {
    let named = std::env::var_os(BINARY_VARIABLE);
    Command::new(named.unwrap_or_else(|| env!("CARGO_BIN_EXE_recant").into()))
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

    /// Waits until it does nothing any more: less than a twentieth of a processor in each of five seconds.
    pub fn until_idle(&self) {
        let mut idle_seconds = 0;
        while idle_seconds < 5 {
            let before = self.processor_time();
            thread::sleep(Duration::from_secs(1));
            let is_idle = self.processor_time() - before < Duration::from_millis(50);
            idle_seconds = if is_idle { idle_seconds + 1 } else { 0 };
        }
    }

    /// Processor time it took, to a hundredth of a second.
    pub fn processor_time(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = std::fs::read_to_string(path).expect("Linux");
        let (_, after_name) = stat.rsplit_once(')').expect("a name");
        let numbers = after_name.split_whitespace().skip(11).take(2);
        let hundredths: u64 = numbers
            .map(|text| text.parse::<u64>().expect("a number"))
            .sum();
        Duration::from_millis(10 * hundredths)
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
