"""Sampling for scores: all frames at one time (UniPC, the program's default) or block after block (Euler)."""
import torch

from dit_model import BLOCK, dit_forward, dit_forward_cached, patchify, rope_tables, unpatchify


def sigmas(steps, shift, device="cpu"):
    s = torch.linspace(1, 0, steps + 1, dtype=torch.float64, device=device)
    return shift * s / (1 + (shift - 1) * s)


@torch.no_grad()
def sample_unipc(dit, ctx, null, frames, h, w, steps=16, shift=5.0, guidance=4.0, seed=0, causal=False, batch=64):
    """UniPC with flow sigmas; [B,F,H,W,C] normalised latents."""
    from diffusers import UniPCMultistepScheduler
    out = []
    g = torch.Generator("cpu").manual_seed(seed)
    cos, sin = rope_tables(dit, frames, h // 2, w // 2, ctx.device)
    for k in range(0, len(ctx), batch):
        c = ctx[k:k + batch]
        b = len(c)
        x = torch.randn(b, frames, h, w, 16, generator=g).to(ctx.device)
        both = torch.cat([c, null.expand(b, -1, -1)])
        fps = torch.zeros(2 * b, dtype=torch.int64, device=ctx.device)
        s = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=shift)
        s.set_timesteps(steps)
        for t in s.timesteps:
            v = dit_forward(dit, patchify(torch.cat([x, x])), t.float().to(ctx.device).expand(2 * b, frames), both, fps, cos, sin, causal)
            p, n = unpatchify(v.float(), h, w).chunk(2)
            x = s.step(n + guidance * (p - n), t, x, return_dict=False)[0].float()
        out.append(x)
    return torch.cat(out)


@torch.no_grad()
def sample_blocks(dit, ctx, null, frames, h, w, steps=16, shift=5.0, guidance=4.0, seed=0, batch=64):
    """Block after block; finished blocks are clean context at t = 0, their keys and values are kept."""
    dev, out = ctx.device, []
    g = torch.Generator("cpu").manual_seed(seed)
    sg = sigmas(steps, shift, dev)
    cos, sin = rope_tables(dit, frames, h // 2, w // 2, dev)
    area = h * w // 4
    for j in range(0, len(ctx), batch):
        c = ctx[j:j + batch]
        b = len(c)
        noise = torch.randn(b, frames, h, w, 16, generator=g).to(dev)
        both = torch.cat([c, null.expand(b, -1, -1)])
        fps = torch.zeros(2 * b, dtype=torch.int64, device=dev)
        past, done = [], []
        for a in range(0, frames, BLOCK):
            z = min(a + BLOCK, frames)
            rope = cos[a * area:z * area], sin[a * area:z * area]
            x = noise[:, a:z]
            for i in range(steps):
                t = (sg[i] * 1000).float().expand(2 * b, z - a)
                v, _ = dit_forward_cached(dit, patchify(torch.cat([x, x])), t, both, fps, *rope, past)
                p, n = unpatchify(v.float(), h, w).chunk(2)
                x = x + (n + guidance * (p - n)) * (sg[i + 1] - sg[i]).float()
            _, own = dit_forward_cached(dit, patchify(torch.cat([x, x])), torch.zeros(2 * b, z - a, device=dev), both, fps, *rope, past)
            past = [(torch.cat([p[0], o[0]], 2), torch.cat([p[1], o[1]], 2)) for p, o in zip(past, own)] if past else own
            done.append(x)
        out.append(torch.cat(done, 1))
    return torch.cat(out)
