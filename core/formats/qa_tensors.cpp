#include "core/formats/qa_tensors.h"

#include <array>
#include <charconv>
#include <set>

#include "core/formats/part_tensors.h"

namespace canopy {

namespace {

constexpr std::string_view kPatch = "embeddings.patch_embedding.weight";
constexpr std::string_view kTable = "embed_tokens.weight";

const std::array<QaTensorNames, 4>& spellings() {
    static const std::array<QaTensorNames, 4> all = {{
        {QaKeyLayout::HuggingFace, "vision_tower.vision_model.", "multi_modal_projector.linear_1.",
         "multi_modal_projector.linear_2.", "image_newline", "language_model.model.",
         "language_model.lm_head.weight"},
        {QaKeyLayout::Memory, "model.vision_tower.vision_model.", "model.multi_modal_projector.linear_1.",
         "model.multi_modal_projector.linear_2.", "model.image_newline", "model.language_model.",
         "lm_head.weight"},
        {QaKeyLayout::Memory, "model.vision_tower.", "model.multi_modal_projector.linear_1.",
         "model.multi_modal_projector.linear_2.", "model.image_newline", "model.language_model.",
         "lm_head.weight"},
        {QaKeyLayout::Original, "model.vision_tower.vision_tower.vision_model.", "model.mm_projector.0.",
         "model.mm_projector.2.", "model.image_newline", "model.", "lm_head.weight"},
    }};
    return all;
}

/// Dimension `axis` of a tensor of that rank; -1 when it is missing, has another rank or is absurdly large.
int dim(const Checkpoint& files, const std::string& name, std::size_t rank, std::size_t axis) {
    const auto* t = files.find(name);
    if (!t || t->shape.size() != rank || t->shape[axis] > 1'000'000'000)
        return -1;
    return static_cast<int>(t->shape[axis]);
}

/// Number of consecutive blocks whose names begin with `start`; -1 when the numbers have gaps.
int blocks(const std::vector<std::string>& names, const std::string& start) {
    std::set<int> seen;
    for (const auto& name : names) {
        if (!name.starts_with(start))
            continue;
        int index = -1;
        const char* end = name.data() + name.size();
        const auto [rest, failed] = std::from_chars(name.data() + start.size(), end, index);
        if (failed == std::errc() && rest != end && *rest == '.' && index >= 0)
            seen.insert(index);
    }
    return seen.empty() || *seen.rbegin() + 1 != static_cast<int>(seen.size())
               ? -1
               : static_cast<int>(seen.size());
}

Error doesNotFit(const std::string& tensor, int found, int expected) {
    return makeError(ErrorCode::Mismatch, "Tensor " + quotedName(tensor) + " has " + std::to_string(found) +
                                              " where the rest of the model needs " +
                                              std::to_string(expected) + "; download the model again");
}

} // namespace

Result<QaTensorNames> qaTensorNames(const Checkpoint& files) {
    const auto names = files.names();
    for (const auto& name : names)
        if (name.find(".quant_state.") != std::string::npos || name.ends_with(".absmax") ||
            name.ends_with(".qweight"))
            return makeError(ErrorCode::Unsupported,
                             "The weights are stored with 4 bits, which is not read here; get them as bf16, "
                             "fp16 or 8-bit rows");
    for (const auto& one : spellings())
        if (files.has(one.language + std::string(kTable)) && files.has(one.vision + std::string(kPatch)))
            return one;
    for (const auto& one : spellings()) {
        if (!files.has(one.language + std::string(kTable)))
            continue;
        bool hasTower = false;
        for (const auto& name : names)
            hasTower = hasTower || name.find("vision_tower.") != std::string::npos;
        return makeError(ErrorCode::Unsupported,
                         hasTower
                             ? "The model's vision tower is no SigLIP tower; expected LLaVA-OneVision or "
                               "LLaVA-Video"
                             : "The weights hold a language model without its vision tower; get the "
                               "release that has both, or the converted one (\"-hf\")");
    }
    return makeError(ErrorCode::Unsupported,
                     "The tensors belong to no video question-answering model that is known here (the first "
                     "is " +
                         (names.empty() ? std::string("nothing") : quotedName(names.front())) +
                         "); expected LLaVA-OneVision or LLaVA-Video");
}

Result<QaShapes> qaShapes(const Checkpoint& files, const QaTensorNames& n) {
    const auto names = files.names();
    QaShapes s;
    const std::string block = n.vision + "encoder.layers.0.";
    const std::string layer = n.language + "layers.0.";
    s.visionWidth = dim(files, n.vision + std::string(kPatch), 4, 0);
    s.patch = dim(files, n.vision + std::string(kPatch), 4, 2);
    s.positions = dim(files, n.vision + "embeddings.position_embedding.weight", 2, 0);
    s.visionLayers = blocks(names, n.vision + "encoder.layers.");
    s.visionMlp = dim(files, block + "mlp.fc1.weight", 2, 0);
    s.vocabulary = dim(files, n.language + std::string(kTable), 2, 0);
    s.width = dim(files, n.language + std::string(kTable), 2, 1);
    s.layers = blocks(names, n.language + "layers.");
    s.mlpDim = dim(files, layer + "mlp.gate_proj.weight", 2, 0);
    s.queryRows = dim(files, layer + "self_attn.q_proj.weight", 2, 0);
    s.keyRows = dim(files, layer + "self_attn.k_proj.weight", 2, 0);
    s.hasHead = files.has(n.head);
    s.hasNewline = files.has(n.newline);

    const auto fits = [&](const std::string& tensor, std::size_t rank, std::size_t axis,
                          int expected) -> std::optional<Error> {
        const int found = dim(files, tensor, rank, axis);
        return found == expected ? std::nullopt : std::optional(doesNotFit(tensor, found, expected));
    };
    struct Check {
        std::string tensor;
        std::size_t rank, axis;
        int expected;
    };
    const Check checks[] = {
        {n.vision + std::string(kPatch), 4, 1, 3},
        {n.vision + std::string(kPatch), 4, 3, s.patch},
        {n.vision + "embeddings.position_embedding.weight", 2, 1, s.visionWidth},
        {n.projectorFirst + "weight", 2, 1, s.visionWidth},
        {n.projectorFirst + "weight", 2, 0, s.width},
        {n.projectorSecond + "weight", 2, 0, s.width},
        {layer + "self_attn.q_proj.weight", 2, 1, s.width},
        {layer + "self_attn.v_proj.weight", 2, 0, s.keyRows},
        {n.language + "norm.weight", 1, 0, s.width},
    };
    for (const auto& check : checks)
        if (auto error = fits(check.tensor, check.rank, check.axis, check.expected))
            return *error;
    if (s.hasHead)
        if (auto error = fits(n.head, 2, 0, s.vocabulary))
            return *error;
    if (s.hasNewline)
        if (auto error = fits(n.newline, 1, 0, s.width))
            return *error;
    for (const auto& name : names)
        if (!isStorageTensor(name) && !name.ends_with(".inv_freq"))
            (name.starts_with(n.vision) ? s.visionParameters : s.languageParameters) +=
                files.find(name)->elements();
    return s;
}

} // namespace canopy
