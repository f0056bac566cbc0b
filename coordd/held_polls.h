// SPDX-License-Identifier: AGPL-3.0-only
// HeldPolls: lets a poll wait until work may exist, its client goes away, or time runs out. One
// thread.
#ifndef AUSPEX_COORDD_HELD_POLLS_H_
#define AUSPEX_COORDD_HELD_POLLS_H_

// clang-format off: the prelude comes first
#include "coordd/asio_prelude.h"
// clang-format on

#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <set>

namespace auspex::coordd {

class HeldPolls {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Woken { kMaybeWork, kClientGone };

  // Waits until WakeAll, `deadline`, or until the peer of `socket` closes. No other operation may
  // be pending on the socket. Octets that arrive meanwhile stay in the socket; over TLS (`opaque`)
  // they are taken as the peer's goodbye.
  template <typename Socket>
  boost::asio::awaitable<Woken> Wait(Socket& socket, bool opaque, Clock::time_point deadline) {
    const auto waiter = std::make_shared<Waiter>(socket.get_executor());
    waiter->timer.expires_at(deadline);
    waiters_.insert(waiter.get());
    socket.async_wait(
        Socket::wait_read, [waiter, &socket, opaque](boost::system::error_code error) {
          // The socket lives: Wait cancels this handler before it returns, and it then comes here
          // with an error.
          if (error) return;
          char octet = 0;
          const ssize_t n = ::recv(socket.native_handle(), &octet, 1, MSG_PEEK | MSG_DONTWAIT);
          if (n > 0 && !opaque) return;
          waiter->gone = true;
          waiter->timer.cancel();
        });
    boost::system::error_code ignored;
    co_await waiter->timer.async_wait(
        boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    waiters_.erase(waiter.get());
    const bool gone = waiter->gone;
    socket.cancel(ignored);
    co_return gone ? Woken::kClientGone : Woken::kMaybeWork;
  }

  // Resumes every waiting poll soon.
  void WakeAll() {
    for (Waiter* waiter : waiters_) waiter->timer.cancel();
  }

 private:
  struct Waiter {
    template <typename Executor>
    explicit Waiter(const Executor& executor) : timer(executor) {}
    boost::asio::steady_timer timer;
    bool gone = false;
  };
  std::set<Waiter*> waiters_;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_HELD_POLLS_H_
