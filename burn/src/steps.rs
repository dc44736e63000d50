//! Counts the steps of a run together with the optimizer's steps.

use std::thread::{self, ThreadId};

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};

use crate::run::TrainingRun;

const STEP: &str = "dropout_step";
const SEED: &str = "dropout_seed";

/// A learning-rate scheduler that also counts the steps of a run: made by
/// [`TrainingRun::count_steps`].
#[derive(Clone, Debug)]
pub struct StepCounter<S> {
    scheduler: S,
    run: TrainingRun,
    step: u32,
    /// The thread that made this counter. A clone in another thread counts the steps of that thread
    /// alone: each worker of distributed training has a clone, and one worker may be a step ahead.
    thread: ThreadId,
}

impl TrainingRun {
    /// Wraps the base learning-rate scheduler, so that the run's step follows the optimizer's.
    /// `scheduler` may also be a number. The record of the wrapped scheduler also has the seed and
    /// the step, and so have the checkpoints of Burn's `Learner`. Training that is resumed from a
    /// checkpoint has the masks that it would have had without a break. A record without them loads
    /// as step 0, with a warning in the log.
    ///
    /// Call it on the thread that launches the training.
    ///
    /// ```
    /// use burn::lr_scheduler::LrScheduler;
    /// use wgpu_dropout_burn::TrainingRun;
    ///
    /// let run = TrainingRun::new(42);
    /// let mut scheduler = run.count_steps(1e-3);
    /// assert_eq!((scheduler.step(), run.step()), (1e-3, 1));
    ///
    /// // Another process resumes the run.
    /// let resumed = TrainingRun::default();
    /// resumed.count_steps(1e-3).load_record(scheduler.to_record());
    /// assert_eq!((resumed.seed(), resumed.step()), (42, 1));
    /// ```
    pub fn count_steps<S: LrScheduler>(&self, scheduler: S) -> StepCounter<S> {
        StepCounter {
            scheduler,
            run: self.clone(),
            step: self.step(),
            thread: thread::current().id(),
        }
    }
}

impl<S: LrScheduler + Clone + 'static> LrScheduler for StepCounter<S> {
    fn step(&mut self) -> f64 {
        self.step = self.step.wrapping_add(1);
        if thread::current().id() == self.thread {
            self.run.set_step(self.step);
        } else {
            self.run.set_thread_step(self.step);
        }
        self.scheduler.step()
    }

    fn to_record(&self) -> LrSchedulerRecord {
        self.scheduler
            .to_record()
            .with_scalar(STEP, self.step)
            .with_scalar(SEED, self.run.seed())
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        match (record.scalar(STEP), record.scalar(SEED)) {
            (Some(step), Some(seed)) => {
                self.run.set_seed(seed);
                self.step = step;
            }
            _ => {
                log::warn!(
                    "the scheduler's record has no {STEP} and {SEED}, since no StepCounter saved \
                     it: dropout begins at step 0 of seed {}; set both as they were",
                    self.run.seed()
                );
                self.step = 0;
            }
        }
        self.run.set_step(self.step);
        self.scheduler.load_record(record);
    }
}
