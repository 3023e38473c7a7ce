#pragma once

#include "core/formats/model_config.h"

namespace canopy::test {

/// A record that passes every check, for the scripted engine: nothing of it lies on disk.
inline ModelRecord smallModel() {
    ModelRecord m;
    m.id = "skyreels-df-test";
    m.family = m.dit.family = ModelFamily::SkyReelsDf;
    m.dit.heads = 2;
    m.dit.headDim = 64;
    m.dit.layers = 2;
    m.dit.ffnDim = 128;
    m.dit.textDim = 64;
    m.vae.baseDim = 8;
    m.defaults.label = "Scripted";
    m.defaults.sizes = {{64, 64}};
    m.defaults.steps = 4;
    m.defaults.framesDefault = 9;
    m.defaults.guidance = 1;
    return m;
}

} // namespace canopy::test
