// SPDX-License-Identifier: AGPL-3.0-only
// GroupCommit: makes what several requests wrote durable with one commit. Everything that was
// handled since the last commit waits for the next, which runs when the handlers that are ready now
// have run. One thread.
#ifndef AUSPEX_COORDD_GROUP_COMMIT_H_
#define AUSPEX_COORDD_GROUP_COMMIT_H_

// clang-format off: the prelude comes first
#include "coordd/asio_prelude.h"
// clang-format on

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>

#include "coordd/coordinator.h"

namespace auspex::coordd {

class GroupCommit {
 public:
  // Both must outlive the object.
  GroupCommit(boost::asio::io_context& io, Coordinator& coordinator)
      : io_(io), coordinator_(coordinator) {}

  // Resumes when everything handled before the call is durable; false when it could not be made so.
  boost::asio::awaitable<bool> Durable() {
    const std::shared_ptr<Batch> batch = Schedule();
    if (!batch->done) {
      boost::system::error_code ignored;
      co_await batch->finished.async_wait(
          boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    }
    co_return batch->ok;
  }
  // Makes sure that a commit is on its way, without waiting for it.
  void Start() { Schedule(); }

 private:
  struct Batch {
    explicit Batch(boost::asio::io_context& io) : finished(io) {
      finished.expires_at(std::chrono::steady_clock::time_point::max());
    }
    boost::asio::steady_timer finished;  // cancelled when done
    bool done = false, ok = false;
  };

  std::shared_ptr<Batch> Schedule() {
    if (!batch_) {
      batch_ = std::make_shared<Batch>(io_);
      boost::asio::post(io_, [this] {
        const std::shared_ptr<Batch> batch = std::move(batch_);
        batch_.reset();
        batch->ok = coordinator_.Flush().ok();
        batch->done = true;
        batch->finished.cancel();
      });
    }
    return batch_;
  }

  boost::asio::io_context& io_;
  Coordinator& coordinator_;
  std::shared_ptr<Batch> batch_;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_GROUP_COMMIT_H_
