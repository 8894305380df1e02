//! Pictures the screen is asked for: drawn into cells at once, made and written off its thread, one at a time.

use std::path::PathBuf;

use tokio::task::JoinHandle;

use crate::app::App;
use crate::picture;

/// The folder, and the picture that is being written.
#[derive(Debug)]
pub struct Pictures {
    dir: PathBuf,
    running: Option<JoinHandle<String>>,
}

impl Pictures {
    /// Pictures for a folder; empty for the current one.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, running: None }
    }

    /// Begins to write what an app shows. Must be called within a runtime.
    ///
    /// # Errors
    /// Another is not done yet; in words for the user.
    pub fn write(&mut self, app: &App) -> Result<(), String> {
        if self.running.is_some() {
            return Err("still writing the last picture".to_owned());
        }
        let (frame, stem, dir) = (picture::frame(app), picture::file_stem(app), self.dir.clone());
        self.running =
            Some(tokio::task::spawn_blocking(move || match picture::save_new(&dir, &stem, &frame) {
                Ok(path) => format!("wrote {}", path.display()),
                Err(error) => {
                    tracing::warn!(dir = %dir.display(), "no picture: {error}");
                    format!("no picture: {error} (in {})", shown(&dir))
                }
            }));
        Ok(())
    }

    /// Waits for the picture to be written and says what became of it; for ever if none is.
    pub async fn written(&mut self) -> String {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let note = running.await;
        self.running = None;
        note.unwrap_or_else(|_| "no picture: the log has the reason".to_owned())
    }
}

fn shown(dir: &std::path::Path) -> String {
    if dir.as_os_str().is_empty() { "the current folder".to_owned() } else { dir.display().to_string() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::app::{Message, Settings};
    use crate::engine::{Engine, Origin};
    use crate::estimate::BinTable;

    fn app() -> App {
        let mut engine = Engine::new("BTC".parse().unwrap(), Origin::Live, Arc::new(BinTable::new(5.0)), &[]);
        let mut app = App::new(Settings::default(), engine.snapshot());
        app.update(Message::Resize(60, 20));
        app
    }

    #[tokio::test]
    async fn one_picture_is_written_at_a_time_and_what_became_of_it_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let mut pictures = Pictures::new(dir.path().join("made"));
        pictures.write(&app()).unwrap();
        assert!(pictures.write(&app()).unwrap_err().contains("still"));
        let path = dir.path().join("made").join("meltline-BTC.png");
        assert_eq!(pictures.written().await, format!("wrote {}", path.display()));
        assert!(path.is_file());
        pictures.write(&app()).unwrap();
        assert!(pictures.written().await.ends_with("meltline-BTC-2.png"));
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_said_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let in_the_way = dir.path().join("file");
        std::fs::write(&in_the_way, "").unwrap();
        let mut pictures = Pictures::new(in_the_way.join("deeper"));
        pictures.write(&app()).unwrap();
        let note = pictures.written().await;
        assert!(note.starts_with("no picture: ") && note.contains("deeper"), "{note}");
    }
}
