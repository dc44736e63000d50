//! Serves the page's folder on this machine: its own files, to GET, a connection each.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use crate::Result;

/// Until it is stopped.
pub fn serve(site: &Path, port: u16) -> Result {
    let (address, listener) = listen(port)?;
    println!("{address}");
    answer_all(&listener, site);
    Ok(())
}

/// On a port that is free, while this program runs; returns where.
pub fn serve_aside(site: PathBuf) -> Result<String> {
    let (address, listener) = listen(0)?;
    thread::spawn(move || answer_all(&listener, &site));
    Ok(address)
}

/// `localhost` is what browsers trust with WebGPU.
fn listen(port: u16) -> Result<(String, TcpListener)> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .map_err(|error| format!("cannot serve on port {port}: {error}; --port takes another"))?;
    let port = listener.local_addr()?.port();
    Ok((format!("http://localhost:{port}"), listener))
}

fn answer_all(listener: &TcpListener, site: &Path) {
    thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            // A browser opens connections ahead of its requests, and leaves some: none waits for another.
            scope.spawn(move || answer(&stream, site));
        }
    });
}

/// A browser that goes away needs no answer, so that an error is nobody's.
fn answer(mut stream: &TcpStream, site: &Path) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    // Closed with a head unread, the connection would be reset.
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let (status, (kind, body)) = match file_of(&request, site) {
        Some(file) => ("200 OK", file),
        None => ("404 Not Found", ("text/plain", b"no such file\n".to_vec())),
    };
    // Alone in its process a page's clock has 5 microseconds in the place of 100.
    let head = format!(
        "HTTP/1.1 {status}\r\n\
         Content-Type: {kind}\r\n\
         Content-Length: {}\r\n\
         Cache-Control: no-store\r\n\
         Connection: close\r\n\
         Cross-Origin-Opener-Policy: same-origin\r\n\
         Cross-Origin-Embedder-Policy: require-corp\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}

/// The type and the bytes of what `GET /name HTTP/1.1` asks for: a file of the folder, or none.
fn file_of(request: &str, site: &Path) -> Option<(&'static str, Vec<u8>)> {
    let url = request.strip_prefix("GET /")?.split(' ').next()?;
    let name = match url.split('?').next()? {
        "" => "index.html",
        name => name,
    };
    let kind = match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css",
        "js" => "text/javascript",
        "svg" => "image/svg+xml",
        "wasm" => "application/wasm",
        _ => return None,
    };
    let mut entries = fs::read_dir(site).ok()?.flatten();
    let entry = entries.find(|entry| entry.file_name() == name)?;
    Some((kind, fs::read(entry.path()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::root;

    #[test]
    fn only_the_page_s_own_files_are_served() {
        let site = root().unwrap().join("web/page");
        let kind = |request: &str| file_of(request, &site).map(|(kind, _)| kind);
        assert_eq!(kind("GET / HTTP/1.1"), Some("text/html; charset=utf-8"));
        assert_eq!(kind("GET /main.js?x HTTP/1.1"), Some("text/javascript"));
        for wrong in [
            "",
            "GET /none.js HTTP/1.1",
            "GET /../page/main.js HTTP/1.1",
            "POST /main.js HTTP/1.1",
        ] {
            assert_eq!(kind(wrong), None, "{wrong}");
        }
    }
}
