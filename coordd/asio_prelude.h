// SPDX-License-Identifier: AGPL-3.0-only
// Include this before any other Boost.Asio header: awaitable.hpp of Boost 1.74 uses std::exchange without including
// <utility>.
#ifndef AUSPEX_COORDD_ASIO_PRELUDE_H_
#define AUSPEX_COORDD_ASIO_PRELUDE_H_

// clang-format off
#include <utility>
#include <boost/asio/awaitable.hpp>
// clang-format on

#endif  // AUSPEX_COORDD_ASIO_PRELUDE_H_
