// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/init/echo.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "runnerd/init/io.h"
#include "runnerd/init/protocol.h"

namespace auspex::unit_init {
namespace {
constexpr size_t kMaxPayload = 4 * 1024 * 1024;
constexpr char kBefore[] = "{\"payload\":{\"echo\":";
constexpr char kAfter[] = ",\"executor\":\"builtin-echo\"}}";
}  // namespace

int RunEcho() {
  char* payload = static_cast<char*>(malloc(kMaxPayload));
  if (payload == nullptr) return 1;
  size_t size = 0;
  for (;;) {
    ssize_t n = read(0, payload + size, kMaxPayload - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return WriteEnd(1, "failed", errno, kOutputNone, 0) ? 0 : 1;
    if (n == 0) break;
    size += static_cast<size_t>(n);
    if (size == kMaxPayload) return WriteEnd(1, "failed", EFBIG, kOutputNone, 0) ? 0 : 1;
  }
  bool ok = WriteEnd(1, "exited", 0, kOutputOk, sizeof kBefore - 1 + size + sizeof kAfter - 1) &&
            WriteText(1, kBefore) && WriteFully(1, payload, size) && WriteText(1, kAfter);
  return ok ? 0 : 1;
}

}  // namespace auspex::unit_init
