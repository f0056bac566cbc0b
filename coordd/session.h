// SPDX-License-Identifier: AGPL-3.0-only
// One client connection as a coroutine: read a request within bounds, have it answered, send the
// reply once it is durable, again while the client keeps the connection. One thread.
#ifndef AUSPEX_COORDD_SESSION_H_
#define AUSPEX_COORDD_SESSION_H_

// clang-format off: the prelude comes first
#include "coordd/asio_prelude.h"
// clang-format on

#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <string>

#include "coordd/coordinator.h"
#include "coordd/group_commit.h"
#include "coordd/held_polls.h"

namespace auspex::coordd {

// What sessions share; outlives them.
struct SessionShared {
  Coordinator& coordinator;
  GroupCommit& commits;
  HeldPolls& held;
  int client_seconds;
  int idle_seconds;
};

// Serves until the client leaves, breaks a bound or asks to close. Throws nothing that its spawner
// must handle.
boost::asio::awaitable<void> ServePlain(boost::beast::tcp_stream stream, SessionShared& shared,
                                        std::string remote);
boost::asio::awaitable<void> ServeTls(boost::beast::tcp_stream stream,
                                      boost::asio::ssl::context& tls, SessionShared& shared,
                                      std::string remote);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_SESSION_H_
