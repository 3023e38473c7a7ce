#pragma once

// Private to core/studio: what the rows say.

#include <string>
#include <string_view>

#include "core/client/client_snapshot.h"
#include "core/studio/studio_snapshot.h"

namespace canopy {

/// The first words of a prompt on one line, cut at a word or character border with an ellipsis.
std::string jobTitle(std::string_view prompt);
/// The question, or what a selection without one is called.
std::string askTitle(const AskRequest& request);
/// "Waiting", "Step 7 of 30", "Decoding, 3 of 9", "Failed: ..." ...
std::string jobWords(const JobRecord& job, const JobProgress* progress, bool queuePaused);
WorkerView workerView(const client::ClientSnapshot& snapshot, bool started);

} // namespace canopy
