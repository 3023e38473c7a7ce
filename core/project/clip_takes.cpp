#include "core/project/clip_takes.h"

#include <algorithm>
#include <map>

namespace canopy {

std::vector<Take> takesOf(std::span<const Clip> clips, const std::filesystem::path& file) {
    std::map<std::filesystem::path, const Clip*> byFile;
    for (const Clip& clip : clips)
        byFile[clip.file] = &clip;
    // Where the chain of earlier clips ends, in the library or not.
    const auto rootOf = [&](std::filesystem::path at) {
        for (std::size_t steps = 0; steps <= byFile.size(); ++steps) { // files from outside may go in circles
            const auto found = byFile.find(at);
            if (found == byFile.end() || found->second->request.chunks.basePath.empty())
                break;
            at = found->second->request.chunks.basePath;
        }
        return at;
    };
    const auto root = rootOf(file);
    std::vector<Take> family;
    for (std::size_t i = 0; i < clips.size(); ++i)
        if (rootOf(clips[i].file) == root)
            family.push_back({i, clips[i].request.chunks.fromChunk});
    std::stable_sort(family.begin(), family.end(), [&](const Take& a, const Take& b) {
        const Clip& x = clips[a.clip];
        const Clip& y = clips[b.clip];
        if ((x.file == root) != (y.file == root))
            return x.file == root;
        return x.madeAtMillis < y.madeAtMillis;
    });
    return family;
}

} // namespace canopy
