"""Reference clips of the starter generator, computed by the diffusers and transformers classes on the CPU in float32.

    python make_reference.py EXPANDED_DIR OUT_DIR [--time]

EXPANDED_DIR: a copy of the model's folder with transformer/ and text_encoder/ expanded by `pack.py expand`:

    cp -r .. expanded && for p in transformer text_encoder; do python pack.py expand ../$p expanded/$p; done
OUT_DIR/tests holds what tests/data/starter keeps of them: ids, schedules, every second row and column of the final latents in float16, a corner of one frame.
--time only times the default first clip (33 frames, 16 steps, guidance 4) on torch.get_num_threads() threads.
"""
import json
import os
import sys
import time

import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, SkyReelsV2Transformer3DModel, UniPCMultistepScheduler
from safetensors.torch import save_file
from transformers import UMT5EncoderModel

TEXT_LEN, BLOCK, H, W = 64, 3, 24, 40


def tokenise(folder, text):
    import sentencepiece
    sp = sentencepiece.SentencePieceProcessor(model_file=os.path.join(folder, "tokenizer", "spiece.model"))
    ids = sp.encode(text)[:TEXT_LEN - 1] + [1]
    return torch.tensor([ids + [0] * (TEXT_LEN - len(ids))])


def prompt_embeds(enc, ids):
    mask = (ids != 0).long()
    return enc(input_ids=ids, attention_mask=mask).last_hidden_state * mask.unsqueeze(-1)


def velocity(dit, x, t, ctx, null, guidance):
    """Conditional and unconditional pass; t: scalar or per-frame timesteps [F]."""
    per_frame = t.dim() == 1
    tt = t[None] if per_frame else t.reshape(1)
    kw = dict(enable_diffusion_forcing=per_frame, fps=torch.tensor([0]) if not per_frame else [0])
    c = dit(x, tt, ctx, **kw).sample
    n = dit(x, tt, null, **kw).sample
    return n + guidance * (c - n), c


def sync_clip(dit, vae, ctx, null, frames, steps, sampler, seed, guidance, shift, keep=()):
    f = 1 + (frames - 1) // 4
    g = torch.Generator("cpu").manual_seed(seed)
    x = torch.randn(1, 16, f, H, W, generator=g)
    out = {"noise": x.clone()}
    if sampler == "unipc":
        s = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=shift)
        s.set_timesteps(steps)
    else:
        s = FlowMatchEulerDiscreteScheduler(shift=shift)
        s.set_timesteps(steps)
    out["timesteps"], out["sigmas"] = s.timesteps.float(), s.sigmas.float()
    for i, t in enumerate(s.timesteps):
        v, c = velocity(dit, x, t.float(), ctx, null, guidance)
        if i == 0:
            out["first_velocity_conditional"], out["first_velocity_guided"] = c.clone(), v.clone()
        x = s.step(v, t, x, return_dict=False)[0]
        if i in keep:
            out[f"latents_after_step_{i}"] = x.clone()
    out["latents"] = x
    return out


def chunked_clip(dit, ctx, null, blocks, steps, seed, guidance, shift):
    """Block after block (block-causal attention), finished blocks are clean context at t = 0; Euler on shift(linspace(1,0))."""
    f = blocks * BLOCK
    g = torch.Generator("cpu").manual_seed(seed)
    noise = torch.randn(1, 16, f, H, W, generator=g)
    sg = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    sg = shift * sg / (1 + (shift - 1) * sg)
    dit._set_ar_attention(BLOCK)
    done = noise[:, :, :0]
    out = {"noise": noise, "sigmas": sg.float()}
    for k in range(blocks):
        x = noise[:, :, k * BLOCK:(k + 1) * BLOCK]
        for i in range(steps):
            t = torch.zeros((k + 1) * BLOCK)
            t[k * BLOCK:] = float(sg[i]) * 1000
            v, _ = velocity(dit, torch.cat([done, x], 2), t, ctx, null, guidance)
            x = x + v[:, :, k * BLOCK:] * float(sg[i + 1] - sg[i])
        done = torch.cat([done, x], 2)
        out[f"latents_block_{k}"] = x
    dit._set_ar_attention(1)
    out["latents"] = done
    return out


def decode(vae, x):
    mean = torch.tensor(vae.config.latents_mean).view(1, 16, 1, 1, 1)
    std = torch.tensor(vae.config.latents_std).view(1, 16, 1, 1, 1)
    y = vae.decode(x * std + mean).sample.clamp(-1, 1)
    return ((y[0].permute(1, 2, 3, 0) + 1) * 127.5).round().to(torch.uint8)        # [T,192,320,3]


def sheet(frames, path):
    from PIL import Image
    Image.fromarray(torch.cat(list(frames), 1).numpy()).save(path)


def save_small(o, folder, name, frame=None):
    """The part of a reference that the tests keep; `frame`: the number and the picture of a frame whose top left corner is kept."""
    small = {k: o[k] for k in ("ids", "null_ids", "sigmas", "timesteps") if k in o}
    small["latents_every_second"] = o["latents"][..., ::2, ::2].half()
    if frame:
        small[f"frames_{frame[0]}"] = frame[1][None, :48, :80]
    os.makedirs(folder, exist_ok=True)
    save_file({k: v.contiguous() for k, v in small.items()}, os.path.join(folder, name + ".safetensors"))
    os.chmod(os.path.join(folder, name + ".safetensors"), 0o644)


@torch.no_grad()
def main():
    src, dst = sys.argv[1:3]
    os.makedirs(dst, exist_ok=True)
    dit = SkyReelsV2Transformer3DModel.from_pretrained(os.path.join(src, "transformer")).float().eval()
    vae = AutoencoderKLWan.from_pretrained(os.path.join(src, "vae")).float().eval()
    enc = UMT5EncoderModel.from_pretrained(os.path.join(src, "text_encoder")).float().eval()
    null_ids = tokenise(src, "")
    null = prompt_embeds(enc, null_ids)
    if "--time" in sys.argv:
        t0 = time.time()
        ctx = prompt_embeds(enc, tokenise(src, "a red balloon rises slowly over the sea at sunset"))
        t1 = time.time()
        o = sync_clip(dit, vae, ctx, null, 33, 16, "unipc", 7, 4.0, 5.0)
        t2 = time.time()
        decode(vae, o["latents"])
        t3 = time.time()
        print(f"{torch.get_num_threads()} threads: text {t1 - t0:.2f} s, denoise {t2 - t1:.2f} s, decode {t3 - t2:.2f} s, total {t3 - t0:.2f} s")
        return
    rows = []
    for name, prompt, frames, steps, sampler, seed in (
            ("sync_unipc", "a red balloon rises slowly over the sea at sunset", 17, 8, "unipc", 7),
            ("sync_euler", "three orange fish swim right underwater", 17, 8, "euler", 11)):
        ids = tokenise(src, prompt)
        ctx = prompt_embeds(enc, ids)
        o = sync_clip(dit, vae, ctx, null, frames, steps, sampler, seed, 4.0, 5.0, keep=(0, steps // 2))
        fr = decode(vae, o["latents"])
        o.update(ids=ids, null_ids=null_ids, prompt_embeds=ctx, null_embeds=null, frames_0_8_16=fr[[0, 8, 16]])
        save_file({k: v.contiguous() for k, v in o.items()}, os.path.join(dst, name + ".safetensors"))
        os.chmod(os.path.join(dst, name + ".safetensors"), 0o644)
        if sampler == "unipc":
            save_small(o, os.path.join(dst, "tests"), name, (8, fr[8]))
        sheet(fr[[0, 4, 8, 12, 16]], os.path.join(dst, name + ".png"))
        rows.append(dict(name=name, prompt=prompt, frames=frames, steps=steps, sampler=sampler, seed=seed, guidance=4.0, shift=5.0, size=[320, 192], fps_index=0,
                         noise="torch.randn(1,16,F,24,40) from a CPU generator with this seed"))
    prompt = "a yellow car drives right along a desert road at dusk"
    ids = tokenise(src, prompt)
    ctx = prompt_embeds(enc, ids)
    o = chunked_clip(dit, ctx, null, 3, 6, 5, 4.0, 5.0)
    fr = decode(vae, o["latents"])
    o.update(ids=ids, null_ids=null_ids, frames_0_16_32=fr[[0, 16, 32]])
    save_file({k: v.contiguous() for k, v in o.items()}, os.path.join(dst, "chunked_euler.safetensors"))
    os.chmod(os.path.join(dst, "chunked_euler.safetensors"), 0o644)
    save_small(o, os.path.join(dst, "tests"), "chunked_euler")
    sheet(fr[[0, 8, 16, 24, 32]], os.path.join(dst, "chunked_euler.png"))
    rows.append(dict(name="chunked_euler", prompt=prompt, frames=33, blocks=3, block_latent_frames=3, steps=6, sampler="euler", seed=5, guidance=4.0, shift=5.0, size=[320, 192],
                     fps_index=0, note="sequential blocks, block-causal, finished blocks at t = 0, sigmas = shift(linspace(1, 0, steps + 1))"))
    for folder, kept in ((dst, rows), (os.path.join(dst, "tests"), [r for r in rows if r["name"] != "sync_euler"])):
        json.dump(kept, open(os.path.join(folder, "reference.json"), "w"), indent=1)


if __name__ == "__main__":
    main()
