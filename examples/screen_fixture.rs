#[path = "../tests/all/fixture.rs"]
mod fixture;
use meltline::{app::Settings, command::screen, term::caps::Caps};
fn main() -> anyhow::Result<()> {
    let minutes = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(1500);
    let mut market = fixture::Market::new(7, minutes);
    let first = if minutes == 0 { fixture::empty() } else { market.snapshot() };
    let (tx, rx) = tokio::sync::watch::channel(first);
    let (commands, _keep) = tokio::sync::mpsc::channel(8);
    std::thread::spawn(move || {
        let mut i = 0;
        while minutes > 0 {
            std::thread::sleep(std::time::Duration::from_millis(200));
            market.trade(0.02);
            i += 1;
            if i % 50 == 0 {
                market.close();
            }
            if tx.send(market.snapshot()).is_err() {
                break;
            }
        }
        std::thread::park();
    });
    let caps = Caps::detect(None);
    if let Ok(p) = std::env::var("CAPS_OUT") {
        std::fs::write(p, format!("{caps:?}"))?;
    }
    let settings = Settings { colour_steps: caps.colour_steps(), fps: caps.fps(), ..Settings::default() };
    screen::run(settings, caps, rx, commands, false)
}
