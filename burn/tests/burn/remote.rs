//! A device that another thread hosts. The other end of it is Flex.

use std::error::Error;
use std::net::TcpListener;
use std::thread;

use burn::backend::Flex;
use burn::remote::RemoteHost;
use burn::server::{RemoteServer, WebSocketTransport};
use burn::tensor::Device;
use wgpu_dropout_burn::ServeDropout;

pub fn device() -> Result<Device, Box<dyn Error>> {
    // The listener accepts before the server runs.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let host = RemoteHost::websocket(&format!("ws://{}", listener.local_addr()?));
    let server = RemoteServer::new([Device::flex()]).with_dropout::<Flex>();
    thread::spawn(move || server.serve(WebSocketTransport::from_listener(listener)));
    Ok(Device::remote_options(&host).init()?)
}
