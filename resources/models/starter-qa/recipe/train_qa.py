#!/usr/bin/env python3
"""Train and evaluate the small video question-answering model of the starter set.

The model is transformers' LlavaOnevisionForConditionalGeneration with a small configuration (SigLIP vision tower, two-layer
projector, Qwen2 language model), trained from scratch on clips drawn by world.py, which lies with the recipe of starter-video
(WORLD_DIR names another folder).  Nothing is downloaded.

  python train_qa.py tokenizer --out DIR                         byte-level BPE tokenizer, trained on the world's own sentences
  python train_qa.py train --tok DIR --out DIR --seconds 500     training (one GPU); writes a Hugging Face style checkpoint
  python train_qa.py heldout --out FILE                          held-out questions
  python train_qa.py eval --ckpt DIR --heldout FILE --out FILE   accuracy per kind, with and without token pruning
  python train_qa.py reference --ckpt DIR --out DIR              parity references (transformers class, CPU, fp32)
  python train_qa.py captions --ckpt DIR                         what greedy captions of held-out clips mention
  python train_qa.py selftest                                    fast path against the transformers class, tiny sizes

How training saves work: several questions are asked about one clip, and all of them share the prefix (system prompt, video
tokens, newline).  The prefix is therefore run once, and all question/answer segments follow it in one packed sequence with a mask
under which a segment sees the prefix and itself only; positions of every segment start after the prefix.  This is arithmetically
the same as separate sequences (selftest checks it against the transformers class).
"""
import argparse, importlib, json, math, os, queue, random, sys, threading, time
import torch
import torch.nn as nn
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.environ.get("WORLD_DIR", os.path.join(HERE, "..", "..", "starter-video", "recipe")))

LETTER_LINE = "Please answer directly with only the letter of the correct option and nothing else."
CAPTION_PROMPT = "Describe the video."
PREFIX_TEXT = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
CLIP_FPS, DURATIONS = 16.0, [2.0, 4.0, 6.0]  # seconds; the model sees T frames spread evenly from the first to the last one
BPE_ENTRIES = 2048
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"]
HELDOUT_BASE = 900_000_000                  # spec seeds at and above this are never used for training


def world():
    return importlib.import_module("world")


# ----------------------------------------------------------------------------------------------------------------------------
# Model
# ----------------------------------------------------------------------------------------------------------------------------
def make_config(tiny=False):
    from transformers import LlavaOnevisionConfig, Qwen2Config, SiglipVisionConfig
    vocab = (BPE_ENTRIES + len(SPECIALS) + 63) // 64 * 64
    vis = dict(hidden_size=192, intermediate_size=512, num_hidden_layers=6, num_attention_heads=3, image_size=224, patch_size=8)
    txt = dict(hidden_size=320, intermediate_size=896, num_hidden_layers=6, num_attention_heads=5, num_key_value_heads=1)
    if tiny:
        vis.update(num_hidden_layers=2, hidden_size=64, intermediate_size=96, num_attention_heads=1)
        txt.update(num_hidden_layers=2, hidden_size=128, intermediate_size=160, num_attention_heads=2)
    vision = SiglipVisionConfig(**vis, num_channels=3, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6,
                                attention_dropout=0.0, vision_use_head=False)
    text = Qwen2Config(vocab_size=vocab, **txt, hidden_act="silu", max_position_embeddings=32768, rms_norm_eps=1e-6,
                       rope_theta=1000000.0, tie_word_embeddings=True, use_sliding_window=False, attention_dropout=0.0,
                       bos_token_id=BPE_ENTRIES, eos_token_id=BPE_ENTRIES + 2, pad_token_id=BPE_ENTRIES)
    return LlavaOnevisionConfig(vision_config=vision, text_config=text, image_token_index=BPE_ENTRIES + 3,
                                video_token_index=BPE_ENTRIES + 4, projector_hidden_act="gelu",
                                vision_feature_select_strategy="full", vision_feature_layer=-1, vision_aspect_ratio="anyres_max_9",
                                image_grid_pinpoints=[[224, 224], [224, 448], [448, 224], [448, 448]], tie_word_embeddings=True)


def make_model(tiny=False, seed=0):
    from transformers import LlavaOnevisionForConditionalGeneration
    torch.manual_seed(seed)
    return LlavaOnevisionForConditionalGeneration(make_config(tiny))


def init_for_training(model):
    """Start weights in proportion to the fan-in (the class's default of 0.02 is meant for much wider models)."""
    g = torch.Generator().manual_seed(7)
    with torch.no_grad():
        def normal(p, std):
            p.copy_(torch.randn(p.shape, generator=g) * std)
        for n, p in model.named_parameters():
            if "language_model.layers" in n and p.ndim == 2:
                normal(p, 0.02 if "o_proj" in n or "down_proj" in n else 0.8 / math.sqrt(p.shape[1]))
            elif "multi_modal_projector.linear_1.weight" in n:
                normal(p, 0.05)
            elif "multi_modal_projector.linear_2.weight" in n:
                normal(p, 0.03)
            elif "vision_tower" in n and "position_embedding" in n:
                normal(p, 0.2)
            elif "embed_tokens" in n:
                normal(p, 0.03)
    return model


def preprocess(frames_u8):
    """uint8 [..., H, W, 3] -> float [..., 3, H, W] in [-1, 1] (rescale 1/255, mean 0.5, std 0.5)."""
    x = frames_u8.movedim(-1, -3).float()
    return (x / 255.0 - 0.5) / 0.5


class CastAll(torch.autograd.Function):
    """All parameters to the arithmetic type in one go (hundreds of small copies otherwise)."""

    @staticmethod
    def forward(ctx, dtype, *ps):
        out = [torch.empty_like(p, dtype=dtype) for p in ps]
        torch._foreach_copy_(out, list(ps))
        return tuple(out)

    @staticmethod
    def backward(ctx, *gs):
        out = [torch.empty_like(g, dtype=torch.float32) for g in gs]
        torch._foreach_copy_(out, list(gs))
        return (None, *out)


def lin(x, w, b=None):
    return F.linear(x, w.to(x.dtype), None if b is None else b.to(x.dtype))


class Fast:
    """The forward pass of LlavaOnevisionForConditionalGeneration over the same parameters, for packed training and evaluation.
    The arithmetic type is that of the pixels given to `vision`."""

    def __init__(self, model):
        self.m = model
        c = model.config
        self.T, self.V = c.text_config, c.vision_config
        self.hd = self.T.hidden_size // self.T.num_attention_heads
        self.grid = self.V.image_size // self.V.patch_size
        vt = model.model.vision_tower
        self.vt = getattr(vt, "vision_model", vt)
        self.lm = model.model.language_model
        theta = self.T.rope_parameters["rope_theta"] if getattr(self.T, "rope_parameters", None) else self.T.rope_theta
        self.cast = {}
        self.inv_freq = 1.0 / theta ** (torch.arange(0, self.hd, 2, dtype=torch.float32) / self.hd)

    def use(self, dtype):
        """Casts the parameters for the next forward pass (training in a lower precision than that of the parameters)."""
        ps = [p for n, p in self.m.named_parameters() if p.requires_grad and "post_layernorm" not in n]
        self.cast = dict(zip(map(id, ps), CastAll.apply(dtype, *ps)))

    def w(self, p):
        return self.cast.get(id(p), p)

    # -- vision -----------------------------------------------------------------------------------------------------------
    def _vblock(self, layer, x):
        n, s, d = x.shape
        h, hd = self.V.num_attention_heads, d // self.V.num_attention_heads
        a, eps = layer.self_attn, self.V.layer_norm_eps
        y = F.layer_norm(x, (d,), self.w(layer.layer_norm1.weight).to(x.dtype), self.w(layer.layer_norm1.bias).to(x.dtype), eps)
        qkv = lin(y, torch.cat((self.w(a.q_proj.weight), self.w(a.k_proj.weight), self.w(a.v_proj.weight))), torch.cat((self.w(a.q_proj.bias), self.w(a.k_proj.bias), self.w(a.v_proj.bias))))
        q, k, v = qkv.view(n, s, 3, h, hd).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, s, d)
        x = x + lin(y, self.w(a.out_proj.weight), self.w(a.out_proj.bias))
        y = F.layer_norm(x, (d,), self.w(layer.layer_norm2.weight).to(x.dtype), self.w(layer.layer_norm2.bias).to(x.dtype), eps)
        m = layer.mlp
        return x + lin(F.gelu(lin(y, self.w(m.fc1.weight), self.w(m.fc1.bias)), approximate="tanh"), self.w(m.fc2.weight), self.w(m.fc2.bias))

    def vision(self, pix):
        """[N, 3, S, S] -> projected, 2x pooled features [N, g*g, D] (g = ceil(grid / 2))."""
        torch.backends.cuda.enable_cudnn_sdp(True)           # few shapes here: its plans are built once each
        n, g, p = pix.shape[0], self.grid, self.V.patch_size
        e = self.vt.embeddings
        # a strided convolution without overlap is a matrix product over patches
        x = pix[..., :g * p, :g * p].reshape(n, 3, g, p, g, p).permute(0, 2, 4, 1, 3, 5).reshape(n, g * g, 3 * p * p)
        x = lin(x, self.w(e.patch_embedding.weight).flatten(1), self.w(e.patch_embedding.bias)) + self.w(e.position_embedding.weight).to(x.dtype)
        for layer in self.vt.encoder.layers:
            x = self._vblock(layer, x)
        torch.backends.cuda.enable_cudnn_sdp(False)
        pr = self.m.model.multi_modal_projector              # reads the last block's output; post_layernorm is not applied
        x = F.gelu(lin(x, self.w(pr.linear_1.weight), self.w(pr.linear_1.bias)))
        # Bilinear pooling from an even grid to half its size (align_corners false) is the 2x2 mean, and the mean commutes with
        # the affine second projection, so pooling comes first here.
        if g % 2 == 0:
            x = x.view(n, g // 2, 2, g // 2, 2, -1)
            x = x[:, :, 0] + x[:, :, 1]
            x = (x[:, :, :, 0] + x[:, :, :, 1]) * 0.25
            return lin(x.reshape(n, (g // 2) ** 2, -1), self.w(pr.linear_2.weight), self.w(pr.linear_2.bias))
        x = lin(x, self.w(pr.linear_2.weight), self.w(pr.linear_2.bias)).view(n, g, g, -1).permute(0, 3, 1, 2)
        o = math.ceil(g / 2)
        return F.interpolate(x, size=(o, o), mode="bilinear").permute(0, 2, 3, 1).reshape(n, o * o, -1)

    # -- language model ---------------------------------------------------------------------------------------------------
    def _rms(self, x, norm):
        return F.rms_norm(x, (x.shape[-1],), self.w(norm.weight).to(x.dtype), self.T.rms_norm_eps)

    def _lblock(self, layer, x, cos, sin, P, mask):
        b, s, d = x.shape
        H, K, hd = self.T.num_attention_heads, self.T.num_key_value_heads, self.hd
        a, m = layer.self_attn, layer.mlp
        y = self._rms(x, layer.input_layernorm)
        qkv = lin(y, torch.cat((self.w(a.q_proj.weight), self.w(a.k_proj.weight), self.w(a.v_proj.weight))), torch.cat((self.w(a.q_proj.bias), self.w(a.k_proj.bias), self.w(a.v_proj.bias))))
        qkv = qkv.view(b, s, H + 2 * K, hd).transpose(1, 2)
        qk = qkv[:, :H + K]
        t1, t2 = qk.chunk(2, -1)
        qk = qk * cos + torch.cat((-t2, t1), -1) * sin        # rotate-half rope
        q, k, v = qk[:, :H], qk[:, H:], qkv[:, H + K:]
        op = F.scaled_dot_product_attention(q[:, :, :P], k[:, :, :P], v[:, :, :P], is_causal=True, enable_gqa=True)
        ke = k[:, :, None].expand(b, K, H // K, s, hd).reshape(b, H, s, hd)
        ve = v[:, :, None].expand(b, K, H // K, s, hd).reshape(b, H, s, hd)
        ot = F.scaled_dot_product_attention(q[:, :, P:], ke, ve, attn_mask=mask)
        y = torch.cat((op, ot), 2).transpose(1, 2).reshape(b, s, H * hd)
        x = x + lin(y, self.w(a.o_proj.weight))
        y = self._rms(x, layer.post_attention_layernorm)
        g, u = lin(y, torch.cat((self.w(m.gate_proj.weight), self.w(m.up_proj.weight)))).chunk(2, -1)
        return x + lin(F.silu(g) * u, self.w(m.down_proj.weight))

    def lm_packed(self, prefix_ids, vis, text_ids, text_off, text_seg, answer_idx, taps=()):
        """prefix_ids [p]; vis [B, n, D] visual tokens; text_* [B, S] packed segments (offset in the segment, segment number or -1);
        answer_idx [M] flat positions in [B*S] whose next token is to be predicted.  Returns logits [M, vocab]; with `taps` also
        the visual tokens [B, n, D] after these layers (1 is the first)."""
        B, S = text_ids.shape
        emb = self.lm.embed_tokens
        newline = self.m.model.image_newline
        pre = emb(prefix_ids)[None].expand(B, -1, -1)
        dt = vis.dtype
        x = torch.cat((pre.to(dt), vis, newline.to(dt)[None, None].expand(B, 1, -1), emb(text_ids).to(dt)), 1)
        P = x.shape[1] - S
        dev = x.device
        pos = torch.cat((torch.arange(P, device=dev)[None].expand(B, -1), P + text_off), 1)
        ang = pos[..., None].float() * self.inv_freq.to(dev)
        ang = torch.cat((ang, ang), -1)[:, None]
        cos, sin = ang.cos().to(dt), ang.sin().to(dt)
        i = torch.arange(S, device=dev)
        own = (text_seg[:, :, None] == text_seg[:, None, :]) & (i[:, None] >= i[None, :])
        mask = torch.zeros(B, 1, S, (P + S + 15) // 16 * 16, dtype=dt, device=dev)      # aligned rows for the fused kernels
        mask[:, 0, :, P:P + S].masked_fill_(~own, float("-inf"))
        mask = mask[..., :P + S]
        seen, p = [], len(prefix_ids)
        for i, layer in enumerate(self.lm.layers):
            x = self._lblock(layer, x, cos, sin, P, mask)
            if i + 1 in taps:
                seen.append(x[:, p:p + vis.shape[1]])
        x = x[:, P:].reshape(B * S, -1)[answer_idx]
        logits = lin(self._rms(x, self.lm.norm), self.w(emb.weight))
        return (logits, seen) if taps else logits


# ----------------------------------------------------------------------------------------------------------------------------
# Tokenizer
# ----------------------------------------------------------------------------------------------------------------------------
QWEN_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CHAT_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}{{ '<video>\\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] }}{% endfor %}"
    "{% endif %}{{ '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
FUNCTION_WORDS = """the a an and or of to in on at by for from with without is are was were be been being do does did done has have had
what which who whom whose when where why how many much more most less least than then there here this that these those it its they them
their he she his her we you your i me my our us not no yes none nothing something anything everything someone first last next before after
during while until since between behind above below under over left right top bottom up down upper lower middle center centre corner side
edge near far inside outside into out off away toward towards through across around same different other another each every all any some few
several both either neither one two three four five six seven eight nine ten once twice only just still also again always never often
video clip scene frame frames picture image screen background foreground object objects shape shapes thing things color colour colors colours
size big bigger biggest small smaller smallest large larger largest tiny little long short tall wide thin thick high low fast faster fastest
slow slower slowest move moves moved moving movement motion go goes going come comes coming appear appears appeared disappear disappears
disappeared enter enters leave leaves stay stays stop stops start starts begin begins end ends change changes changed turn turns rotate rotates
rotating spin spins spinning bounce bounces grow grows shrink shrinks blink blinks flash flashes cut cuts camera pan pans zoom zooms direction
horizontal vertical diagonal diagonally clockwise counterclockwise describe happen happens happening see seen look looks show shows shown
contain contains visible hidden answer question option options letter correct directly please using single word phrase true false can could
would should will may might must time times second seconds minute moment number count total how's what's isn't doesn't don't as so but if
because about like kind type main brief short sentence detail tell give name list explain
Describe What Which How Is Are Does Do Did Was Were Where When Who Why The A An In On At Please Answer There Here It Then After Before First
Next Finally Yes No Name Count Tell Give List Explain Can You Two Three Four One""".split()


def mc_text(question, options):
    return question + "\n" + "\n".join(f"{chr(65 + i)}. {o}" for i, o in enumerate(options)) + "\n" + LETTER_LINE


def train_tokenizer(out, clips=6000):
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers, Regex, AddedToken
    w = world()
    corpus = []
    for s in range(clips):
        spec = w.sample_spec(s, cuts=s % 4 == 0)
        rng = random.Random(s)
        corpus.append(w.caption(spec, rng))
        for q in questions(spec, rng):
            corpus.append(q["question"] + "\n" + str(q["answer"]))
            corpus.append(str(q["answer"]))
            if q.get("options"):
                corpus.append(mc_text(q["question"], q["options"]) + "\n" + "ABCDEF"[rng.randrange(min(6, len(q["options"])))])
    for rep in range(20):                    # plain English words, so that free questions do not fall apart into bytes
        corpus.append(" ".join(FUNCTION_WORDS))
        corpus.append("\n".join(FUNCTION_WORDS))
    corpus += [PREFIX_TEXT, CAPTION_PROMPT, LETTER_LINE, "assistant\n", "user\n", "system\n"] * 50
    for sp in SPECIALS:
        corpus = [c.replace(sp, " ") for c in corpus]
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN_SPLIT), behavior="isolated", invert=False),
                                                 pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=BPE_ENTRIES, min_frequency=2, show_progress=False, special_tokens=[],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tok.train_from_iterator(corpus, trainer)
    n = tok.get_vocab_size()
    if n < BPE_ENTRIES:                      # a small corpus can run out of pairs: fill up so that special ids stay fixed
        data = json.loads(tok.to_str())
        vocab, merges = data["model"]["vocab"], [tuple(m) for m in data["model"]["merges"]]
        fill = [a + b for a in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" for b in "abcdefghijklmnopqrstuvwxyz"]
        for f in fill:
            if len(vocab) >= BPE_ENTRIES:
                break
            if f not in vocab:
                vocab[f] = len(vocab)
                merges.append((f[0], f[1]))
        data["model"]["vocab"], data["model"]["merges"] = vocab, [list(m) for m in merges]
        tok = Tokenizer.from_str(json.dumps(data))
    assert tok.get_vocab_size() == BPE_ENTRIES, tok.get_vocab_size()
    tok.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIALS])
    os.makedirs(out, exist_ok=True)
    tok.save(os.path.join(out, "tokenizer.json"))
    data = json.loads(tok.to_str())
    json.dump(data["model"]["vocab"], open(os.path.join(out, "vocab.json"), "w"), ensure_ascii=False)
    with open(os.path.join(out, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in data["model"]["merges"]))
    added = {str(BPE_ENTRIES + i): dict(content=s, lstrip=False, normalized=False, rstrip=False, single_word=False, special=True)
             for i, s in enumerate(SPECIALS)}
    json.dump({s: BPE_ENTRIES + i for i, s in enumerate(SPECIALS)}, open(os.path.join(out, "added_tokens.json"), "w"), indent=2)
    json.dump(dict(add_prefix_space=False, added_tokens_decoder=added, additional_special_tokens=["<|im_start|>", "<|im_end|>"],
                   bos_token=None, chat_template=CHAT_TEMPLATE, clean_up_tokenization_spaces=False, eos_token="<|im_end|>",
                   errors="replace", image_token="<image>", video_token="<video>", extra_special_tokens={}, model_max_length=32768,
                   pad_token="<|endoftext|>", processor_class="LlavaOnevisionProcessor", split_special_tokens=False,
                   tokenizer_class="Qwen2Tokenizer", unk_token=None), open(os.path.join(out, "tokenizer_config.json"), "w"), indent=2)
    json.dump(dict(additional_special_tokens=["<|im_start|>", "<|im_end|>"], eos_token="<|im_end|>", pad_token="<|endoftext|>"),
              open(os.path.join(out, "special_tokens_map.json"), "w"), indent=2)
    json.dump(dict(chat_template=CHAT_TEMPLATE), open(os.path.join(out, "chat_template.json"), "w"), indent=2)
    ids = [len(tok.encode(c).ids) for c in corpus[:4000]]
    print(f"tokenizer: {n} learned entries before fill, mean length {sum(ids) / len(ids):.1f} tokens")


class Tok:
    def __init__(self, path):
        from tokenizers import Tokenizer
        self.t = Tokenizer.from_file(os.path.join(path, "tokenizer.json"))
        self.cache = {}
        self.prefix = self.enc(PREFIX_TEXT)

    def enc(self, s):
        if s not in self.cache:
            if len(self.cache) > 200_000:
                self.cache.clear()
            self.cache[s] = self.t.encode(s, add_special_tokens=False).ids
        return self.cache[s]

    def segment(self, question, answer):
        """Text after the video placeholder: ids, and the index at which the answer starts."""
        q = self.enc("\n" + question + "<|im_end|>\n<|im_start|>assistant\n")
        a = self.enc(answer + "<|im_end|>")
        return q + a, len(q)


# ----------------------------------------------------------------------------------------------------------------------------
# Questions and batches
# ----------------------------------------------------------------------------------------------------------------------------
def questions(spec, rng):
    """The world's own questions, and three more kinds read from the spec."""
    w = world()
    out = list(w.qa(spec, rng))
    cut = len(spec["shots"]) > 1
    does = {"left": "moves left", "right": "moves right", "up": "moves up", "down": "moves down", "circle": "moves in circles",
            "bounce": "bounces", "still": "stays still"}
    pans = {"static": "it does not move", "pan_left": "left", "pan_right": "right"}

    def ask(kind, texts, answer, pool):
        others = [p for p in pool if p != answer]
        rng.shuffle(others)
        options = others[:3] + [answer]
        rng.shuffle(options)
        out.append(dict(question=rng.choice(texts), answer=answer, kind=kind, options=options))

    for k, shot in enumerate(spec["shots"]):
        pre = "" if not cut else ("Before the cut: " if k == 0 else "After the cut: ")
        a = shot["subjects"][0]
        n, many = w.noun(a["kind"], a["count"]), a["count"] > 1
        if not any(e["type"] in ("reverse", "stop") for e in shot["events"]):
            ask("motion", [f"{pre}What {'do' if many else 'does'} the {n} do?", f"{pre}How {'do' if many else 'does'} the {n} move?"],
                does[a["motion"]], list(does.values()))
        ask("camera", [f"{pre}Which way does the camera pan?", f"{pre}How does the camera move?"], pans[shot["camera"]], list(pans.values()))
        ask("camera", [f"{pre}Does the camera move?", f"{pre}Is the camera moving?"], "no" if shot["camera"] == "static" else "yes", ["yes", "no"])
        if a["count"] == 1:                      # where the subject is when its shot starts, and (one shot only) when the clip ends
            p = torch.tensor([w._instances(shot)[0]["floats"]])
            for when, t in (("start", 0.0),) if cut else (("start", 0.0), ("end", spec["seconds"] - 1 / CLIP_FPS)):
                x, y = (v.item() for v in w.track(p, torch.tensor([t]))[:2])
                side = "left" if 0.0 < x < 0.37 else "middle" if 0.45 < x < 0.55 else "right" if 0.63 < x < 1.0 else None
                if side:
                    ask("position", [f"{pre}Where is the {n} at the {when}, left, middle or right?", f"{pre}In which part of the picture is the {n} at the {when}?"],
                        side, ["left", "middle", "right"])
                level = "high" if 0.0 < y < 0.38 else "low" if 0.60 < y < 1.0 else None
                if level:
                    ask("position", [f"{pre}Is the {n} high or low at the {when}?"], level, ["high", "low"])
        ask("subject", [f"{pre}What is in the video?", f"{pre}What can you see?", f"{pre}Which thing {'appears first' if shot['events'] and len(shot['subjects']) > 1 else 'is shown'}?"],
            w.noun(a["kind"]), [w.noun(x) for x in w.KINDS])
    return out


KIND_WEIGHT = dict(presence=0.5, scene=0.5, subject=0.5, time_of_day=0.6, colour=0.8, count=0.8, direction=1.8, left_right=2.5, speed=1.8,
                   camera=1.3, position=1.6)          # how often a kind is asked in training


def make_items(spec, rng, n, caption_share=0.2, mc_share=0.5):
    """n (prompt, answer text, kind, is_mc) items about one clip."""
    w = world()
    qs = questions(spec, rng)
    # even out the kinds within the clip: choose kinds first, then a question of the kind
    by = {}
    for q in qs:
        by.setdefault(q["kind"], []).append(q)
    items, used = [], set()
    if rng.random() < min(1.0, caption_share * n):
        items.append((CAPTION_PROMPT, w.caption(spec, rng), "caption", False))
    kinds = list(by)
    tries = 0
    while len(items) < n and tries < 8 * n and kinds:
        tries += 1
        k = rng.choices(kinds, [KIND_WEIGHT.get(k, 1.0) for k in kinds])[0]
        j = rng.randrange(len(by[k]))
        mc = bool(by[k][j].get("options")) and rng.random() < mc_share
        if (k, j, mc) in used:
            continue
        used.add((k, j, mc))
        q = by[k][j]
        if mc:
            opts = [str(o) for o in q["options"]]
            rng.shuffle(opts)
            items.append((mc_text(q["question"], opts), chr(65 + opts.index(str(q["answer"]))), k, True))
        else:
            items.append((q["question"], str(q["answer"]), k, False))
    rng.shuffle(items)
    return items


def pack(rows, tok, S=None, caption_weight=0.35):
    """rows: per clip a list of items -> tensors of packed segments."""
    enc = []
    for items in rows:
        ids, off, seg, ans = [], [], [], []
        for n, it in enumerate(items):
            t, a0 = tok.segment(it[0], it[1])
            if S is not None and len(ids) + len(t) > S:
                continue
            base = len(ids)
            ids += t
            off += range(len(t))
            seg += [n] * len(t)
            wgt = caption_weight if it[2] == "caption" else 1.0
            ans += [(base + i - 1, t[i], wgt, n) for i in range(a0, len(t))]   # position whose next token is t[i]
        enc.append((ids, off, seg, ans))
    L = S or max(8, (max(len(e[0]) for e in enc) + 7) // 8 * 8)
    B = len(rows)
    ids = torch.full((B, L), BPE_ENTRIES, dtype=torch.long)
    off = torch.zeros((B, L), dtype=torch.long)
    seg = torch.full((B, L), -1, dtype=torch.long)
    idx, tgt, wgt, own = [], [], [], []
    for b, (i, o, s, a) in enumerate(enc):
        ids[b, :len(i)] = torch.tensor(i)
        off[b, :len(o)] = torch.tensor(o)
        seg[b, :len(s)] = torch.tensor(s)
        for p, t, wt, n in a:
            idx.append(b * L + p); tgt.append(t); wgt.append(wt); own.append((b, n))
    return dict(ids=ids, off=off, seg=seg, idx=torch.tensor(idx), tgt=torch.tensor(tgt), wgt=torch.tensor(wgt), own=torch.tensor(own))


class Stream(torch.utils.data.IterableDataset):
    """Endless batches of (specs, packed questions); drawing happens on the GPU in the main process."""

    def __init__(self, tok_dir, batch, questions, S, seed, cuts=0.25):
        self.a = (tok_dir, batch, questions, S, seed, cuts)

    def __iter__(self):
        tok_dir, batch, questions, S, seed, cuts = self.a
        info = torch.utils.data.get_worker_info()
        wid, nw = (info.id, info.num_workers) if info else (0, 1)
        torch.set_num_threads(1)
        tok, w = Tok(tok_dir), world()
        rng = random.Random(seed * 1000 + wid)
        while True:
            specs, rows, seconds = [], [], rng.choice(DURATIONS)
            for _ in range(batch):
                spec = w.sample_spec(rng.randrange(HELDOUT_BASE), cuts=rng.random() < cuts, seconds=seconds)
                specs.append(spec)
                rows.append(make_items(spec, rng, questions))
            yield seconds, specs, pack(rows, tok, S)


def augment(x, rng):
    """Per batch: softening through a smaller size, brightness/contrast, noise.  x float [B, T, 3, S, S] in [-1, 1]."""
    B, T, C, S, _ = x.shape
    if rng.random() < 0.35:
        s = rng.randrange(96, 209, 16)
        y = F.interpolate(x.flatten(0, 1), size=(s, s), mode="bilinear", antialias=True)
        x = F.interpolate(y, size=(S, S), mode="bicubic", align_corners=False).view(B, T, C, S, S)
    if rng.random() < 0.5:
        gain = 1 + 0.2 * (2 * torch.rand(B, 1, 1, 1, 1, device=x.device) - 1)
        bias = 0.15 * (2 * torch.rand(B, 1, 1, 1, 1, device=x.device) - 1)
        x = x * gain + bias
    if rng.random() < 0.35:
        x = x + torch.randn_like(x) * (0.08 * rng.random())
    return x.clamp(-1, 1)


# ----------------------------------------------------------------------------------------------------------------------------
# Checkpoints
# ----------------------------------------------------------------------------------------------------------------------------
def released_name(k):
    """In-memory parameter name -> name used in the released llava-onevision-qwen2 *-hf files."""
    if k.startswith("model.language_model."):
        return "language_model.model." + k[len("model.language_model."):]
    if k.startswith("model.vision_tower."):
        t = k[len("model.vision_tower."):]
        return "vision_tower." + (t if t.startswith("vision_model.") else "vision_model." + t)
    if k.startswith("model."):
        return k[len("model."):]
    return "language_model." + k


def save_checkpoint(model, out, dtype=torch.bfloat16, shard_bytes=12 * 2 ** 20):
    from safetensors.torch import save_file
    os.makedirs(out, exist_ok=True)
    sd = {}
    for k, v in model.state_dict().items():
        if k == "lm_head.weight":
            continue                          # tied to the token embedding
        sd[released_name(k)] = v.detach().to("cpu", dtype).contiguous()
    shards, cur, size = [], {}, 0
    for k in sorted(sd):
        b = sd[k].numel() * sd[k].element_size()
        if cur and size + b > shard_bytes:
            shards.append(cur); cur, size = {}, 0
        cur[k] = sd[k]; size += b
    shards.append(cur)
    index = {}
    for i, s in enumerate(shards):
        name = f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        save_file(s, os.path.join(out, name), metadata={"format": "pt"})
        index.update({k: name for k in s})
    total = sum(v.numel() * v.element_size() for v in sd.values())
    json.dump(dict(metadata=dict(total_size=total), weight_map=dict(sorted(index.items()))),
              open(os.path.join(out, "model.safetensors.index.json"), "w"), indent=2)


def load_checkpoint(model, path):
    from safetensors.torch import load_file
    sd = {}
    for f in sorted(os.listdir(path)):
        if f.endswith(".safetensors"):
            sd.update(load_file(os.path.join(path, f)))
    own = model.state_dict()
    with torch.no_grad():
        for k in own:
            if k != "lm_head.weight":
                own[k].copy_(sd[released_name(k)].to(own[k].dtype))
    return model


def save_configs(out):
    cfg = make_config()
    d = cfg.to_dict()
    d["architectures"] = ["LlavaOnevisionForConditionalGeneration"]
    d["torch_dtype"] = d["dtype"] = "bfloat16"
    d["use_image_newline_parameter"] = True
    for sub in ("text_config", "vision_config"):
        d[sub]["torch_dtype"] = d[sub]["dtype"] = "bfloat16"
    d["text_config"]["rope_theta"] = 1000000.0
    d["text_config"]["architectures"] = ["Qwen2ForCausalLM"]
    noise = ("_name_or_path", "chunk_size_feed_forward", "id2label", "label2id", "output_attentions", "output_hidden_states",
             "problem_type", "return_dict", "is_encoder_decoder")
    for part in (d, d["text_config"], d["vision_config"]):
        for k in noise:
            part.pop(k, None)
    json.dump(d, open(os.path.join(out, "config.json"), "w"), indent=2, sort_keys=True)
    json.dump(dict(_from_model_config=False, bos_token_id=BPE_ENTRIES, do_sample=False, eos_token_id=[BPE_ENTRIES + 2, BPE_ENTRIES],
                   pad_token_id=BPE_ENTRIES, max_new_tokens=96), open(os.path.join(out, "generation_config.json"), "w"), indent=2)
    common = dict(do_convert_rgb=True, do_normalize=True, do_rescale=True, do_resize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3,
                  resample=3, rescale_factor=1 / 255, size=dict(height=224, width=224), processor_class="LlavaOnevisionProcessor")
    json.dump(dict(common, do_pad=True, image_processor_type="LlavaOnevisionImageProcessor",
                   image_grid_pinpoints=cfg.image_grid_pinpoints), open(os.path.join(out, "preprocessor_config.json"), "w"), indent=2)
    json.dump(dict(common, video_processor_type="LlavaOnevisionVideoProcessor"),
              open(os.path.join(out, "video_preprocessor_config.json"), "w"), indent=2)
    json.dump(dict(processor_class="LlavaOnevisionProcessor", num_image_tokens=784, vision_feature_select_strategy="full",
                   image_token="<image>", video_token="<video>", vision_aspect_ratio="anyres_max_9"),
              open(os.path.join(out, "processor_config.json"), "w"), indent=2)


# ----------------------------------------------------------------------------------------------------------------------------
# Training
# ----------------------------------------------------------------------------------------------------------------------------
class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates for the weight matrices (scaled to the usual AdamW update size); matrices of one
    shape are processed together."""

    def __init__(self, params, lr=2e-3, momentum=0.95, weight_decay=0.05, steps=5):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay, steps=steps))

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            shapes = {}
            for p in g["params"]:
                if p.grad is not None:
                    shapes.setdefault(tuple(p.shape), []).append(p)
            for shape, ps in shapes.items():
                for p in ps:
                    if "m" not in self.state[p]:
                        self.state[p]["m"] = torch.zeros_like(p)
                ms, gr = [self.state[p]["m"] for p in ps], [p.grad for p in ps]
                torch._foreach_lerp_(ms, gr, 1 - g["momentum"])
                x = torch.stack(torch._foreach_lerp(gr, ms, g["momentum"])).bfloat16()
                flip = shape[0] > shape[1]
                x = x.mT if flip else x
                x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
                for _ in range(g["steps"]):
                    a = x @ x.mT
                    x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
                x = (x.mT if flip else x).to(ps[0].dtype)
                scale = 0.2 * math.sqrt(max(shape))
                torch._foreach_mul_(ps, 1 - g["lr"] * g["weight_decay"])
                torch._foreach_add_(ps, list(x.unbind(0)), alpha=-g["lr"] * scale)


class Aux(nn.Module):
    """Linear read-outs used only while training: what stands in each cell of the pooled grid (kind, colour), and the scene."""

    def __init__(self, dim, kinds, colours, scenes, times):
        super().__init__()
        self.cell = nn.Linear(dim, kinds + 1 + colours)
        self.whole = nn.Linear(dim, scenes + times)
        self.where = nn.Linear(dim, 28)
        self.k, self.s = kinds + 1, scenes

    def position(self, feats):
        """Row and column of every cell, read linearly from its feature."""
        c = torch.arange(feats.shape[1], device=feats.device)[None].expand(feats.shape[0], -1)
        o = lin(feats, self.where.weight, self.where.bias).float()
        return F.cross_entropy(o[..., :14].flatten(0, 1), (c // 14).flatten()) + F.cross_entropy(o[..., 14:].flatten(0, 1), (c % 14).flatten())

    def forward(self, feats, lab):
        """feats [N, C, D] of N frames; lab: dict of kind [N, C] (0 = nothing), colour [N, C], scene [N], time [N]."""
        o = lin(feats, self.cell.weight, self.cell.bias).float()
        kind = lab["kind"]
        w = torch.where(kind > 0, 1.0, 0.08)
        loss = (F.cross_entropy(o[..., :self.k].flatten(0, 1), kind.flatten(), reduction="none") * w.flatten()).sum() / w.sum()
        m = (kind > 0).float().flatten()
        lc = F.cross_entropy(o[..., self.k:].flatten(0, 1), lab["colour"].flatten(), reduction="none")
        loss = loss + (lc * m).sum() / m.sum().clamp(min=1)
        g = self.whole(feats.float().mean(1))
        return loss + 0.3 * (F.cross_entropy(g[:, :self.s], lab["scene"]) + F.cross_entropy(g[:, self.s:], lab["time"]))


def dense_labels(specs, T, aspect, device, g=14):
    """What stands where: for every frame the kind and colour in each cell of the g x g grid, and the scene and time of day."""
    w = world()
    B, big = len(specs), 1e9
    kinds, colours, scenes = ({v: i for i, v in enumerate(n)} for n in (w.KINDS, w.COLOUR_NAMES, w.SCENES))
    tods = {v: i for i, v in enumerate(w.TIMES + ["none"])}
    times = torch.tensor(frame_times(specs[0]["seconds"], T), device=device)
    slots, shots = {}, []
    for b, sp in enumerate(specs):
        n = len(sp["shots"])
        shots.append([sp["shots"][-1]["start"] if n > 1 else big] + [f(sp["shots"][i]) for i in (0, n - 1)
                     for f in (lambda q: scenes[q["scene"]], lambda q: tods[q["time_of_day"]])])
        for k, shot in enumerate(sp["shots"]):
            end = sp["shots"][k + 1]["start"] if k + 1 < n else big
            turn = {e["subject"]: e["colour"] for e in shot["events"] if e["type"] == "colour"}
            cols = [(colours[s["colour"]], colours[turn.get(j, s["colour"])]) for j, s in enumerate(shot["subjects"]) for _ in range(s["count"])]
            for j, q in enumerate(w._instances(shot)):
                slots.setdefault((k, j), []).append([b, shot["start"], end, kinds[q["kind"]] + 1, *cols[j]] + q["floats"])
    kind = torch.zeros(B, T, g * g, dtype=torch.long, device=device)
    col = torch.zeros(B, T, g * g, dtype=torch.long, device=device)
    c = (torch.arange(g, device=device).float() + 0.5) / g
    cy, cx = [v.reshape(1, 1, -1) for v in torch.meshgrid(c, c, indexing="ij")]
    for key in sorted(slots):
        m = torch.tensor(slots[key], dtype=torch.float32).to(device)
        b, p, R = m[:, 0].long(), m[:, 6:], len(m)
        t = times[None] - m[:, 1:2]
        active = (t >= -1e-6) & (times[None] < m[:, 2:3] - 1e-6)
        x, y, _, _ = w.track(p.repeat_interleave(T, 0), t.reshape(-1))
        x, y, rad = x.view(R, T, 1), y.view(R, T, 1), 0.75 * p[:, 7].view(R, 1, 1)
        inside = ((cx - x) * aspect / rad) ** 2 + ((cy - y) / rad) ** 2 < 1
        inside |= ((cx - x).abs() <= 0.5 / g) & ((cy - y).abs() <= 0.5 / g)
        inside &= active[..., None]
        now = torch.where(t > p[:, 12:13] + 0.06, m[:, 5:6], m[:, 4:5]).long()[..., None]
        kind[b] = torch.where(inside, m[:, 3].long().view(R, 1, 1), kind[b])
        col[b] = torch.where(inside, now.expand_as(inside), col[b])
    sh = torch.tensor(shots, dtype=torch.float32).to(device)
    second = times[None] >= sh[:, :1] - 1e-6
    return dict(kind=kind.view(B * T, -1), colour=col.view(B * T, -1), scene=torch.where(second, sh[:, 3:4], sh[:, 1:2]).long().flatten(),
                time=torch.where(second, sh[:, 4:5], sh[:, 2:3]).long().flatten())


def frame_times(seconds, T):
    """Times of the frames floor(linspace(0, F-1, T)) of a clip of F = 16 * seconds frames (not floored: at most 1/16 s apart)."""
    n = int(seconds * CLIP_FPS)
    return [i * (n - 1) / CLIP_FPS / max(1, T - 1) for i in range(T)]


def draw_clip(specs, T, dev, H, W):
    """uint8 [B, T, H, W, 3]; all clips of one duration."""
    step = frame_times(specs[0]["seconds"], T)[-1] / max(1, T - 1)
    return world().render(specs, T, H, W, dev, fps=1.0 / step if T > 1 else CLIP_FPS)


class Producer(threading.Thread):
    """Draws pictures and labels for several steps at a time, in its own thread and on its own stream (drawing is many small
    kernels, so drawing more clips at once costs little more)."""

    def __init__(self, a, dev, grid, has_aux, progress):
        super().__init__(daemon=True)
        self.a, self.dev, self.grid, self.has_aux, self.progress = a, dev, grid, has_aux, progress
        self.q, self.stop_now, self.error = queue.Queue(1), False, None
        self.loader = torch.utils.data.DataLoader(
            Stream(a.tok, a.chunk, a.questions, a.text_len, a.seed + 7), batch_size=None, num_workers=a.workers,
            prefetch_factor=8 if a.workers else None, multiprocessing_context="fork" if a.workers else None)
        self.it = iter(self.loader)          # workers fork before the first use of the GPU in this process
        self.rng = random.Random(a.seed * 31 + 5)

    def run(self):
        try:
            stream = torch.cuda.Stream() if self.dev.type == "cuda" else None
            buckets = {d: [] for d in DURATIONS}
            while not self.stop_now:
                with torch.no_grad():
                    if stream:
                        with torch.cuda.stream(stream):
                            item = self.pool(buckets)
                            ev = torch.cuda.Event()
                            ev.record(stream)
                    else:
                        item, ev = self.pool(buckets), None
                self.q.put((item, ev))
        except Exception as e:               # handed to the training loop
            self.error = e
            self.q.put((None, None))

    def pool(self, buckets):
        a, rng, dev, p = self.a, self.rng, self.dev, self.progress()
        if p < a.stages[0]:
            T, nch = 2, 8
        elif p < a.stages[1]:
            T, nch = 4, 6
        else:
            T, nch = rng.choices([(8, 6), (16, 3), (4, 12), (32, 2)], [0.75, 0.13, 0.08, 0.04])[0]
        nch = max(1, int(nch * a.scale))
        G = a.pool
        while True:
            sec = max(buckets, key=lambda k: len(buckets[k]))
            if len(buckets[sec]) >= nch * G:
                break
            q = next(self.it)
            buckets[q[0]].append(q)
        parts, buckets[sec] = buckets[sec][:nch * G], buckets[sec][nch * G:]
        specs = sum((q[1] for q in parts), [])
        # square or wide pictures (wide ones are squeezed to the square input, as preprocessing does with a real clip)
        H, W = rng.choice([(224, 224), (96, 160), (128, 208), (144, 240), (192, 320), (128, 128)] if not a.tiny else [(64, 96)])
        fr = draw_clip(specs, T, dev, H, W)
        lab = dense_labels(specs, T, W / H, dev, self.grid) if self.has_aux and p < a.aux_until else None
        CH, S = len(parts[0][1]), parts[0][2]["ids"].shape[1]
        out = []
        for g in range(G):
            pk = [q[2] for q in parts[g * nch:(g + 1) * nch]]
            b = {k: torch.cat([q[k] for q in pk]) for k in ("ids", "off", "seg", "tgt", "wgt")}
            b["idx"] = torch.cat([q["idx"] + i * CH * S for i, q in enumerate(pk)])
            if dev.type == "cuda":
                b = {k: v.pin_memory().to(dev, non_blocking=True) for k, v in b.items()}
            B = nch * CH
            b["frames"] = fr[g * B:(g + 1) * B]
            b["lab"] = {k: v[g * B * T:(g + 1) * B * T] for k, v in lab.items()} if lab else None
            out.append(b)
        return out


def train(a):
    dev = torch.device(a.device)
    cuda = dev.type == "cuda"
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.set_float32_matmul_precision("high")
    t_start = time.time()
    torch.manual_seed(a.seed)
    rng = random.Random(a.seed)
    tok = Tok(a.tok)
    model = init_for_training(make_model(a.tiny, a.seed))
    prog = []
    g = model.config.vision_config
    producer = Producer(a, dev, math.ceil(g.image_size // g.patch_size / 2), a.aux > 0, lambda: prog[0]())
    model.to(dev)
    n_par = sum(p.numel() for p in model.parameters())
    fast = Fast(model)
    dtype = torch.bfloat16 if cuda or a.bf16 else torch.float32
    w = world()
    D = model.config.text_config.hidden_size
    aux = Aux(D, len(w.KINDS), len(w.COLOUR_NAMES), len(w.SCENES), len(w.TIMES) + 1).to(dev) if a.aux > 0 else None
    if a.resume:
        load_checkpoint(model, a.resume)
        if aux and os.path.exists(os.path.join(a.resume, "aux.pt")):
            aux.load_state_dict(torch.load(os.path.join(a.resume, "aux.pt"), map_location=dev), strict=False)
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad and "post_layernorm" not in n and n != "lm_head.weight"]
    hidden = lambda n, p: p.ndim == 2 and "embed" not in n and "position" not in n
    mats = [p for n, p in named if hidden(n, p)]
    rest = [p for n, p in named if not hidden(n, p)]
    opts = [Muon([dict(params=mats)], lr=a.lr_muon, weight_decay=a.wd),
            torch.optim.AdamW([dict(params=rest, weight_decay=0.0)] + ([dict(params=aux.parameters(), weight_decay=0.0)] if aux else []),
                              lr=a.lr_adam, betas=(0.9, 0.95), fused=cuda)]
    base = [[g["lr"] for g in o.param_groups] for o in opts]
    step0, p0 = 0, 0.0
    if a.state and os.path.exists(a.state):
        st = torch.load(a.state, map_location=dev, weights_only=False)
        model.load_state_dict(st["model"])
        if aux and st["aux"]:
            aux.load_state_dict(st["aux"])
        for o, s in zip(opts, st["opts"]):
            o.load_state_dict(s)
        step0 = st["step"]
        print("resumed optimiser state at step", step0, flush=True)
    prefix = torch.tensor(tok.prefix, device=dev)
    N = (fast.grid // 2 + fast.grid % 2) ** 2
    print(f"parameters {n_par / 1e6:.2f} M, device {dev}, world at {time.time() - t_start:.1f} s", flush=True)
    lo, hi = a.span
    clock = dict(t0=None)
    budget = a.seconds - (time.time() - t_start) - 2.0
    prog.append(lambda: lo + (hi - lo) * min(1.0, (time.time() - clock["t0"]) / budget) if clock["t0"] else lo)
    producer.start()
    first = producer.q.get()                 # the schedule starts when the workers and the first pictures are there
    t0 = clock["t0"] = time.time()
    budget = a.seconds - (t0 - t_start) - 2.0
    step, last_save, hist, clips, wait = step0, t0, [], 0, 0.0
    queued = []
    while True:
        el = time.time() - t0
        if el >= budget or (a.max_steps and step - step0 >= a.max_steps):
            break
        p = lo + (hi - lo) * el / budget     # progress through the whole schedule (runs can be chained)
        if not queued:
            t1 = time.time()
            queued, ev = first or producer.q.get()
            first = None
            if queued is None:
                raise producer.error
            wait += time.time() - t1
            if ev is not None:
                torch.cuda.current_stream().wait_event(ev)
        batch = queued.pop(0)
        if cuda:
            for v in list(batch.values()) + list((batch["lab"] or {}).values()):
                if torch.is_tensor(v):
                    v.record_stream(torch.cuda.current_stream())
        B, T, H, W, _ = batch["frames"].shape
        if a.profile and step - step0 == 20:
            torch.cuda.synchronize()
            prof = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA])
            prof.__enter__()
        if a.profile and step - step0 == 24:
            torch.cuda.synchronize()
            prof.__exit__(None, None, None)
            print(prof.key_averages().table(sort_by="self_cuda_time_total", row_limit=28, max_name_column_width=70))
        with torch.no_grad():
            px = preprocess(batch["frames"])
            if (H, W) != (224, 224):
                px = F.interpolate(px.flatten(0, 1), size=(224, 224), mode="bicubic", antialias=True).clamp(-1, 1).view(B, T, 3, 224, 224)
            px = augment(px, rng).to(dtype)
            lab = batch["lab"]
        lrf = min(1.0, (step + 1) / a.warmup) * (0.5 * (1 + math.cos(math.pi * min(1.0, p))) * 0.98 + 0.02)
        for o, bl in zip(opts, base):
            for g, l in zip(o.param_groups, bl):
                g["lr"] = l * lrf
        if dtype != torch.float32:
            fast.use(dtype)
        feats = fast.vision(px.flatten(0, 1))
        la = aux(feats, lab) if lab is not None else None
        lp = aux.position(feats) if aux is not None and p < 0.9 else None
        vis = feats.view(B, T * N, D)
        if rng.random() < 0.5:                              # token dropout
            keep = rng.choice([0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 0.9])
            K = max(8, int(T * N * keep))
            if rng.random() < 0.7:
                sc = torch.rand(B, T * N, device=dev)
            else:                                           # uneven over frames, as pruning methods leave it
                sc = torch.rand(B, T * N, device=dev) * torch.rand(B, T, 1, device=dev).expand(B, T, N).reshape(B, T * N)
            idx = sc.topk(K, 1).indices.sort(1).values
            vis = vis.gather(1, idx[..., None].expand(-1, -1, D))
        logits = fast.lm_packed(prefix, vis, batch["ids"], batch["off"], batch["seg"], batch["idx"])
        ce = F.cross_entropy(logits.float(), batch["tgt"], reduction="none")
        lm_loss = (ce * batch["wgt"]).sum() / batch["wgt"].sum()
        auxw = a.aux * max(0.0, 1 - p / a.aux_until) if la is not None else 0.0
        loss = lm_loss + (auxw * la if la is not None else 0.0) + (0.05 * min(1.0, 4 * (0.9 - p)) * lp if lp is not None else 0.0)
        loss.backward()
        gn = torch.nn.utils.clip_grad_norm_([q for q in rest], 1.0)
        for o in opts:
            o.step()
            o.zero_grad(set_to_none=True)
        clips += B
        step += 1
        if step % a.log == 0:
            with torch.no_grad():
                hit = ((logits.argmax(-1) == batch["tgt"]).float() * (batch["wgt"] >= 1)).sum() / (batch["wgt"] >= 1).sum()
            hist.append((step, p, lm_loss.item(), hit.item()))
            if not math.isfinite(hist[-1][2]) or (step - step0 > 400 and hist[-1][2] > 6):
                print("stopping: the loss has diverged", hist[-1])
                break
            print(f"step {step} p {p:.3f} T {T} n {vis.shape[1]} loss {lm_loss.item():.3f} aux {la.item() if la is not None else 0:.3f} where {lp.item() if lp is not None else 0:.3f} "
                  f"tok-acc {hit.item():.3f} gn {gn.item():.2f} clips {clips} ({clips / (time.time() - t0):.0f}/s) "
                  f"wait {wait:.1f}s t {time.time() - t_start:.0f}s", flush=True)
        if time.time() - last_save > a.save_every and not a.max_steps:
            save_checkpoint(model, a.out)
            last_save = time.time()
    fast.cast = {}
    if cuda:
        torch.cuda.synchronize()
        print(f"peak memory {torch.cuda.max_memory_allocated() / 2 ** 30:.1f} GiB")
    save_checkpoint(model, a.out)
    if aux and hi < a.aux_until:
        torch.save(aux.state_dict(), os.path.join(a.out, "aux.pt"))
    if a.state:
        torch.save(dict(model=model.state_dict(), aux=aux.state_dict() if aux else None, opts=[o.state_dict() for o in opts], step=step), a.state)
    json.dump(dict(step=step, clips=clips, seconds=time.time() - t_start, hist=hist), open(os.path.join(a.out, f"log_{step}.json"), "w"))
    print(f"done: {step} steps, {clips} clips, {time.time() - t_start:.0f} s", flush=True)
    if a.quick_eval:
        quick_eval(fast, tok, dev, a.quick_eval)
    producer.stop_now = True


# ----------------------------------------------------------------------------------------------------------------------------
# Evaluation
# ----------------------------------------------------------------------------------------------------------------------------
def heldout_rows(n_clips, base=HELDOUT_BASE, per_clip=5):
    w = world()
    rows = []
    for i in range(n_clips):
        seed, cuts, seconds = base + i, i % 4 == 0, (2.0, 4.0)[i % 2]
        spec = w.sample_spec(seed, cuts=cuts, seconds=seconds)
        rng = random.Random(seed * 7 + 1)
        qs = questions(spec, rng)
        by = {}
        for q in qs:
            by.setdefault(q["kind"], []).append(q)
        kinds = list(by)
        rng.shuffle(kinds)
        for k in kinds[:per_clip]:
            q = rng.choice(by[k])
            opts = [str(o) for o in q["options"]] if q.get("options") else None
            if opts:
                rng.shuffle(opts)
            rows.append(dict(seed=seed, cuts=cuts, seconds=seconds, kind=k, question=q["question"], options=opts, answer=str(q["answer"])))
    return rows


def group_rows(rows):
    g = {}
    for r in rows:
        g.setdefault((r["seed"], r["cuts"], r["seconds"]), []).append(r)
    return g


def row_items(rows):
    """Open form of every row, and the multiple-choice form where options exist."""
    items, tags = [], []
    for r in rows:
        items.append((r["question"], r["answer"], r["kind"], False))
        tags.append((r["kind"], "open", r))
        if r["options"]:
            items.append((mc_text(r["question"], r["options"]), chr(65 + r["options"].index(r["answer"])), r["kind"], True))
            tags.append((r["kind"], "choice", r))
    return items, tags


def score(fast, prefix, vis, pk, dev):
    """Exact match of every segment (greedy decoding gives the reference answer if and only if every one of its tokens, the end
    token included, is the arg max given the tokens before it), and the first predicted token."""
    lg = fast.lm_packed(prefix, vis, pk["ids"].to(dev), pk["off"].to(dev), pk["seg"].to(dev), pk["idx"].to(dev))
    ok = (lg.argmax(-1).cpu() == pk["tgt"])
    return ok, lg.argmax(-1).cpu()


@torch.no_grad()
def quick_eval(fast, tok, dev, clips, T=8, keep=None):
    g = group_rows(heldout_rows(clips, base=HELDOUT_BASE + 50_000))
    prefix = torch.tensor(tok.prefix, device=dev)
    res = {}
    keys = sorted(g, key=lambda k: k[2])                     # clips of one duration together
    keys = [k for k in keys if k[2] == 2.0][:clips // 2 // 32 * 32] + [k for k in keys if k[2] == 4.0][:clips // 2 // 32 * 32]
    for c in range(0, len(keys), 32):
        ks = keys[c:c + 32]
        specs = [world().sample_spec(s, cuts=cu, seconds=se) for s, cu, se in ks]
        fr = draw_clip(specs, T, dev, 224, 224)
        feats = fast.vision(preprocess(fr).flatten(0, 1).to(torch.bfloat16 if dev.type == "cuda" else torch.float32)).view(len(ks), -1, fast.T.hidden_size)
        items, tags = zip(*[row_items(g[k]) for k in ks])
        pk = pack(items, tok)
        ok, _ = score(fast, prefix, feats, pk, dev)
        fl = {}
        for (b, n), o in zip(pk["own"].tolist(), ok.tolist()):
            fl[(b, n)] = fl.get((b, n), True) and o
        for (b, n), o in fl.items():
            kind, form, r = tags[b][n]
            res.setdefault((kind, form), []).append(o)
    tot = {}
    for (k, f), v in sorted(res.items()):
        print(f"  {k:18s} {f:6s} {sum(v) / len(v):.3f}  n={len(v)}")
        tot.setdefault(f, []).extend(v)
    for f, v in tot.items():
        print(f"  all {f}: {sum(v) / len(v):.4f} n={len(v)}", flush=True)


@torch.no_grad()
def caption_eval(a):
    """Greedy captions ("Describe the video."): does the text name colour, kind, number, scene and motion of every shot?"""
    from transformers import LlavaOnevisionForConditionalGeneration
    torch.set_num_threads(a.threads)
    w, tok = world(), Tok(a.ckpt)
    model = LlavaOnevisionForConditionalGeneration.from_pretrained(a.ckpt, dtype=torch.float32).eval()
    hits, shown = {}, []
    for i in range(a.clips or 60):
        spec = w.sample_spec(HELDOUT_BASE + 300_000 + i, cuts=i % 4 == 0, seconds=(2.0, 4.0)[i % 2])
        px = preprocess(draw_clip([spec], a.frames, torch.device("cpu"), 224, 224))
        n = a.frames * (model.config.vision_config.image_size // model.config.vision_config.patch_size // 2) ** 2 + 1
        ids = torch.tensor([hf_prompt(tok, CAPTION_PROMPT, n)])
        out = model.generate(input_ids=ids, pixel_values_videos=px, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=80)
        text = tok.t.decode(out[0, ids.shape[1]:].tolist())
        for shot in spec["shots"]:
            s, m = shot["subjects"][0], shot["subjects"][0]["motion"]
            verbs = [v for o in w._VERBS[s["kind"]].get(m, []) for v in o.split("|")]
            same = {v for k, os_ in w._VERBS[s["kind"]].items() if k != m for o in os_ for v in o.split("|")}
            places = [p for v in w._PLACES[shot["scene"]].values() for p in v]
            for k, ok in dict(colour=s["colour"] in text, kind=any(x in text for pair in w.NOUNS[s["kind"]] for x in pair),
                              number=(s["count"] == 1) == ("two " not in text and "three " not in text) if len(spec["shots"]) == 1 else None,
                              scene=any(p in text for p in places), motion=any(v in text for v in verbs if v not in same)).items():
                if ok is not None:
                    hits.setdefault(k, []).append(bool(ok))
        shown.append((w.caption(spec, random.Random(i)), text))
    for k, v in hits.items():
        print(f"caption names the {k}: {100 * sum(v) / len(v):.1f}% of {len(v)} shots")
    for t, g in shown[:8]:
        print("truth:", t, "\nmodel:", g)


# -- token pruning -----------------------------------------------------------------------------------------------------------
def gprune_scores(X):
    """G-Prune scores of the cells of one frame, X [N, D] fp32."""
    U = F.normalize(X, dim=-1)
    A = U @ U.T
    A = torch.where(A < 0.5, torch.zeros_like(A), A) / 0.03
    A = torch.where(A.abs() < 1e-6, torch.full_like(A, -5000.0), A).softmax(-1)
    deg = (A > 0).sum(1).float()
    A5 = torch.linalg.matrix_power(A, 5)
    s = (X.norm(dim=1)[:, None] * A5).sum(0) / deg
    return torch.nan_to_num(s, nan=0.0)


def forest_code(V, tau_s=0.9, tau_sp=0.8, rho=0.5):
    """ForestPrune as its public code does it, fp32 with fixed tie rules.  V [T, N, D].  Returns the priority order (flat indices
    t*N + cell): the kept set of a budget of K tokens is the first K entries; and the number of roots."""
    V = V.float().cpu()
    T, N, D = V.shape
    side = int(round(math.sqrt(N)))
    k = int(round(rho * N))                                   # Python rounds half to even
    cells = [gprune_scores(V[t]).topk(k).indices.sort().values for t in range(T)]
    X = torch.cat([F.normalize(V[t, cells[t]], dim=-1) for t in range(T)])
    cell = torch.cat(cells)
    frame = torch.arange(T).repeat_interleave(k)
    rc = torch.stack((cell // side, cell % side), 1).float() / max(1, side - 1)
    tree = torch.full((T * k,), -1, dtype=torch.long)
    depth = torch.zeros(T * k, dtype=torch.long)
    parent = torch.full((T * k,), -1, dtype=torch.long)
    tree[:k] = torch.arange(k)
    tails = list(range(k))                                    # tree -> node
    for t in range(1, T):
        lo, hi = t * k, (t + 1) * k
        S = X[:lo] @ X[lo:hi].T
        Dm = (rc[:lo, None] - rc[None, lo:hi]).abs().amax(-1)
        feas = (S >= tau_s) & (Dm <= 1 - tau_sp + 1e-6)
        Sf = torch.where(feas, S, torch.full_like(S, -9.0))
        best = Sf.max(0).values
        d2 = torch.where(Sf == best, Dm, torch.full_like(Dm, 9.0))
        dmin = d2.min(0).values
        cand = (Sf == best) & (d2 == dmin)
        tid = torch.where(cand, tree[:lo, None].expand_as(cand), torch.full_like(cand, 1 << 40, dtype=torch.long)).min(0).values
        new = {}
        for j in range(k):
            g = lo + j
            if best[j] < -1:
                tree[g] = len(tails) + sum(1 for v in new.values() if v[0] == "root")
                new[g] = ("root", int(tree[g]))
            else:
                tr = int(tid[j])
                parent[g] = tails[tr]
                depth[g] = depth[tails[tr]] + 1
                tree[g] = tr
                new[g] = ("join", tr)
        for g, (what, tr) in new.items():
            if what == "root":
                tails.append(g)
            else:
                tails[tr] = g
    roots = (parent < 0).nonzero().flatten()
    R = len(roots)
    S = (X[roots] @ X[roots].T)
    iu = torch.triu_indices(R, R, 1)
    order = torch.argsort(S[iu[0], iu[1]], descending=True, stable=True)   # ties: lower first index, then lower second index
    p, q = iu[0][order].tolist(), iu[1][order].tolist()
    gone, out = [False] * R, []
    for a, b in zip(p, q):
        if not gone[a] and not gone[b]:
            gone[b] = True
            out.append(b)
            if len(out) == R - 1:
                break
    pri = [int(roots[i]) for i in range(R) if not gone[i]] + [int(roots[i]) for i in reversed(out)]
    rest = [(int(depth[g]), int(frame[g]), int(cell[g]), g) for g in range(T * k) if parent[g] >= 0]
    pri += [r[3] for r in sorted(rest)]
    pri = torch.tensor(pri)
    return frame[pri] * N + cell[pri], R


def keep_random(V, frames, K, seed):
    g = torch.Generator().manual_seed(seed)
    return torch.randperm(V.shape[0] * V.shape[1], generator=g)[:K].sort().values


def keep_framediff(V, px, b, seed, q=0.7):
    """pixel_diff control: frame 0 random 2bN cells; later frames sample bN cells in proportion to the mean absolute pixel
    difference to the previous frame among cells above its 0.7 quantile that were not kept in the previous frame."""
    T, N, _ = V.shape
    side = int(round(math.sqrt(N)))
    g = torch.Generator().manual_seed(seed)
    kept = [torch.randperm(N, generator=g)[:min(N, int(round(2 * b * N)))]]
    K = int(round(b * N))
    for t in range(1, T):
        d = F.adaptive_avg_pool2d((px[t] - px[t - 1]).abs().mean(0)[None, None], side).flatten()
        c = d >= torch.quantile(d, q)
        c[kept[-1]] = False
        pr = torch.where(c, d, torch.zeros_like(d)) + 0.0
        n = min(K, int((pr > 0).sum()))
        sel = torch.multinomial(pr, n, generator=g) if n else torch.empty(0, dtype=torch.long)
        if n < K:
            left = torch.ones(N, dtype=torch.bool)
            left[sel] = False
            left = left.nonzero().flatten()
            sel = torch.cat((sel, left[torch.randperm(len(left), generator=g)[:K - n]]))
        kept.append(sel)
    return torch.cat([t * N + k for t, k in enumerate(kept)]).sort().values


def mcnemar(a, b):
    """Discordant counts of two paired result lists and the z value (positive: the first is better)."""
    n10 = sum(1 for x, y in zip(a, b) if x and not y)
    n01 = sum(1 for x, y in zip(a, b) if y and not x)
    return n10, n01, (n10 - n01) / math.sqrt(n10 + n01) if n10 + n01 else 0.0


@torch.no_grad()
def evaluate(a):
    dev = torch.device(a.device)
    torch.set_num_threads(a.threads)
    tok = Tok(a.ckpt)
    model = load_checkpoint(make_model(), a.ckpt).to(dev).eval()
    fast = Fast(model)
    rows = heldout_rows(a.clips, base=HELDOUT_BASE + 100_000) if a.clips else json.load(open(a.heldout))
    g = group_rows(rows)
    prefix = torch.tensor(tok.prefix, device=dev)
    T, N, D = a.frames, (fast.grid // 2) ** 2, fast.T.hidden_size
    ratios = [0.5, 0.25, 0.1, 0.05] if a.prune else []
    dt = torch.bfloat16 if a.bf16 else torch.float32
    rec, t0 = [], time.time()
    for c, (key, rs) in enumerate(g.items()):
        spec = world().sample_spec(key[0], cuts=key[1], seconds=key[2])
        H, W = [(224, 224), (192, 320)][c % 2]
        fr = draw_clip([spec], T, torch.device("cpu"), H, W)
        px = preprocess(fr)
        if (H, W) != (224, 224):
            px = F.interpolate(px.flatten(0, 1), size=(224, 224), mode="bicubic", antialias=True).clamp(-1, 1)[None]
        feats = fast.vision(px[0].to(dev, dt))
        items, tags = row_items(rs)
        pk = pack([items], tok)
        variants = {"full": None}
        if a.prune:
            pri, R = forest_code(feats.float())
            for b in ratios:
                K = min(int(round(T * int(round(0.5 * N)) * b / 0.5)), len(pri))
                variants[f"forest@{b}"] = pri[:K].sort().values
                variants[f"random@{b}"] = keep_random(feats, T, K, key[0])
                variants[f"framediff@{b}"] = keep_framediff(feats.cpu(), px[0], b, key[0])
        res = [dict(seed=key[0], kind=t[0], form=t[1], answer=t[2]["answer"]) for t in tags]
        for name, idx in variants.items():
            flat = feats.reshape(1, T * N, D)
            vis = flat if idx is None else flat[:, idx.to(dev)]
            ok, pred = score(fast, prefix, vis, pk, dev)
            for r in res:
                r[name] = True
            seen = set()
            for (b_, n), o, pd in zip(pk["own"].tolist(), ok.tolist(), pred.tolist()):
                res[n][name] = res[n][name] and o
                if n not in seen:
                    seen.add(n)
                    res[n][name + ":tok"] = pd
        if a.prune:
            for r in res:
                r["roots"] = R
        rec += res
        if (c + 1) % 20 == 0:
            json.dump(rec, open(a.out, "w"))
            print(f"{c + 1}/{len(g)} clips, {time.time() - t0:.0f} s, full {sum(r['full'] for r in rec) / len(rec):.3f}", flush=True)
    json.dump(rec, open(a.out, "w"))
    report(rec, rows)


def report(rec, rows):
    kinds = sorted({r["kind"] for r in rec})
    print(f"{len(rec)} answers over {len({r['seed'] for r in rec})} clips")
    print("| kind | n | majority | open | choice | chance (choice) |\n|---|---|---|---|---|---|")
    for k in kinds + ["all"]:
        ro = [r for r in rows if k in (r["kind"], "all")]
        maj = {}
        for r in ro:
            maj.setdefault(r["kind"], {}).setdefault(r["answer"], 0)
            maj[r["kind"]][r["answer"]] += 1
        m = sum(max(v.values()) for v in maj.values()) / len(ro)
        o = [r["full"] for r in rec if k in (r["kind"], "all") and r["form"] == "open"]
        c = [r["full"] for r in rec if k in (r["kind"], "all") and r["form"] == "choice"]
        ch = [1 / len(r["options"]) for r in ro if r["options"]]
        f = lambda v: f"{100 * sum(v) / len(v):.1f}" if v else "-"
        print(f"| {k} | {len(o)} | {100 * m:.1f} | {f(o)} | {f(c)} | {f(ch)} |")
    names = [n for n in rec[0] if "@" in n and ":" not in n]
    if names:
        print("\n| kept | method | open | choice | both | same choice as full | vs random: better/worse (z) | full better/worse (z) |\n|---|---|---|---|---|---|---|---|")
        for n in sorted(names, key=lambda s: (-float(s.split("@")[1]), s)):
            m, b = n.split("@")
            acc = lambda form: 100 * sum(r[n] for r in rec if form in (r["form"], "both")) / max(1, sum(1 for r in rec if form in (r["form"], "both")))
            A = lambda form: 100 * sum(r[n] for r in rec if form == "both" or r["form"] == form) / max(1, sum(1 for r in rec if form == "both" or r["form"] == form))
            ch = [r for r in rec if r["form"] == "choice"]
            agree = 100 * sum(r[n + ":tok"] == r["full:tok"] for r in ch) / max(1, len(ch))
            d = mcnemar([r[n] for r in rec], [r[f"random@{b}"] for r in rec])
            e = mcnemar([r["full"] for r in rec], [r[n] for r in rec])
            print(f"| {100 * float(b):.0f}% | {m} | {A('open'):.1f} | {A('choice'):.1f} | {A('both'):.1f} | {agree:.1f} | {d[0]}/{d[1]} ({d[2]:+.1f}) | {e[0]}/{e[1]} ({e[2]:+.1f}) |")
        print("\n| kind | " + " | ".join(["full"] + names) + " |\n" + "|---" * (len(names) + 2) + "|")
        for k in kinds:
            v = [r for r in rec if r["kind"] == k]
            print(f"| {k} |", " | ".join(f"{100 * sum(r[n] for r in v) / len(v):.0f}" for n in ["full"] + names), "|")


# ----------------------------------------------------------------------------------------------------------------------------
# Parity references and self test
# ----------------------------------------------------------------------------------------------------------------------------
def hf_prompt(tok, question, n_video_tokens):
    q = tok.enc("\n" + question + "<|im_end|>\n<|im_start|>assistant\n")
    return tok.prefix + [BPE_ENTRIES + 4] * n_video_tokens + q


@torch.no_grad()
def reference(a):
    from transformers import LlavaOnevisionForConditionalGeneration
    from safetensors.torch import save_file
    import hashlib
    os.makedirs(a.out, exist_ok=True)
    torch.set_num_threads(a.threads)
    model = LlavaOnevisionForConditionalGeneration.from_pretrained(a.ckpt, dtype=torch.float32).eval()
    tok = Tok(a.ckpt)
    texts = [PREFIX_TEXT, "\nWhat colour is the boat?<|im_end|>\n<|im_start|>assistant\n", "red<|im_end|>", CAPTION_PROMPT, LETTER_LINE,
             mc_text("How many cars are there?", ["one", "two", "three", "four"]), "It's 12:45, isn't it?", "  two  spaces\n\nand lines\t.",
             "caf\u00e9 na\u00efve \u00fcber", "cafe\u0301 (combining)", "\u65e5\u672c\u8a9e \U0001f600", "ALL CAPS and CamelCase_42", "<video>\nhello <image>"]
    info, tensors = dict(frames=a.frames, size=224, dtype="float32 arithmetic on bfloat16 weights", tokenizer=[dict(text=t, ids=tok.enc(t)) for t in texts],
                         clips=[]), {}
    # resizing: a wide picture to the square input, PIL bicubic on uint8 (what the processors do)
    from PIL import Image
    import numpy as np
    wide = draw_clip([world().sample_spec(HELDOUT_BASE + 200_010, seconds=2.0)], 2, torch.device("cpu"), 96, 160)[0, 1]
    tensors["resize.source_u8"] = wide.contiguous()
    tensors["resize.expected_u8"] = torch.from_numpy(np.asarray(Image.fromarray(wide.numpy()).resize((224, 224), Image.BICUBIC)).copy())
    for ci, (seed, cuts) in enumerate(((HELDOUT_BASE + 200_001, False), (HELDOUT_BASE + 200_004, True))[: a.clips or 2]):
        spec = world().sample_spec(seed, cuts=cuts, seconds=4.0)
        fr = draw_clip([spec], a.frames, torch.device("cpu"), 224, 224)
        px = preprocess(fr)
        feats = model.model.get_video_features(px, return_dict=True).pooler_output
        T, N, D = a.frames, feats.shape[1] // a.frames, feats.shape[2]
        feats = feats[:, :T * N]                 # newer versions append the newline here
        if ci == 0:                              # stages of the vision tower, first frame
            hs = model.model.vision_tower(px[0, :1], output_hidden_states=True).hidden_states
            assert len(hs) == model.config.vision_config.num_hidden_layers + 1
            tensors["clip0.vision_embeddings_frame0"], tensors["clip0.vision_last_block_frame0"] = hs[0][0].contiguous(), hs[-1][0].contiguous()
        pri, R = forest_code(feats[0].view(T, N, D))
        tensors[f"clip{ci}.frames_u8"] = fr[0].contiguous()
        tensors[f"clip{ci}.features_first2"] = feats[0, :2 * N].contiguous()
        tensors[f"clip{ci}.feature_norms"] = feats[0].norm(dim=-1).contiguous()
        tensors[f"clip{ci}.forest_priority"] = pri.to(torch.int32).contiguous()
        rng = random.Random(seed)
        qs = questions(spec, rng)
        pick = [qs[0], next(q for q in qs[::-1] if q.get("options"))]
        entry = dict(seed=seed, cuts=cuts, seconds=4.0, caption_truth=world().caption(spec, random.Random(seed)),
                     frames_sha256=hashlib.sha256(fr[0].numpy().tobytes()).hexdigest(),
                     pixel_values=dict(shape=list(px[0].shape), sum=px.double().sum().item(), mean=px.double().mean().item(),
                                       std=px.double().std().item(), first=px[0, 0, :, 0, :4].flatten().tolist()),
                     features=dict(shape=[T * N, D], mean=feats.double().mean().item(), std=feats.double().std().item()),
                     forest=dict(tau_s=0.9, tau_sp=0.8, rho=0.5, roots=R), questions=[])
        prompts = [(pick[0]["question"], str(pick[0]["answer"])),
                   (mc_text(pick[1]["question"], [str(o) for o in pick[1]["options"]]),
                    chr(65 + [str(o) for o in pick[1]["options"]].index(str(pick[1]["answer"])))),
                   (CAPTION_PROMPT, entry["caption_truth"])]
        for question, answer in prompts:
            ids = torch.tensor([hf_prompt(tok, question, T * N + 1)])
            out = model(input_ids=ids, pixel_values_videos=px, logits_to_keep=1, output_hidden_states=True)
            if not entry["questions"]:           # the last prompt position through the language model (the last row is after the final norm)
                tensors[f"clip{ci}.question0_last_position"] = torch.stack([h[0, -1] for h in out.hidden_states])
            top = out.logits[0, -1].topk(10)
            gen = model.generate(input_ids=ids, pixel_values_videos=px, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=48)
            new = gen[0, ids.shape[1]:].tolist()
            # the same with 25% and 10% of the tokens kept by the forest (positions re-packed)
            pruned = []
            for b in (0.25, 0.1):
                K = min(int(round(T * int(round(0.5 * N)) * b / 0.5)), len(pri))
                keep = pri[:K].sort().values
                emb = model.get_input_embeddings()
                pre, post = torch.tensor([tok.prefix]), ids[:, len(tok.prefix) + T * N + 1:]
                x = torch.cat((emb(pre), feats[:, keep], model.model.image_newline[None, None], emb(post)), 1)
                h = model.model.language_model(inputs_embeds=x).last_hidden_state[:, -1]
                lt = model.lm_head(h)[0].topk(10)
                pruned.append(dict(ratio=b, kept=K, top_ids=lt.indices.tolist(), top_logits=lt.values.tolist()))
            entry["questions"].append(dict(
                question=question, answer_truth=answer, prefix_ids=tok.prefix, video_tokens=T * N + 1, suffix_ids=ids[0, len(tok.prefix) + T * N + 1:].tolist(),
                top_ids=top.indices.tolist(), top_logits=top.values.tolist(), generated_ids=new, generated_text=tok.t.decode(new), pruned=pruned))
        info["clips"].append(entry)
    save_file(tensors, os.path.join(a.out, "reference.safetensors"))
    json.dump(info, open(os.path.join(a.out, "reference.json"), "w"), indent=1)
    for c in info["clips"]:
        for q in c["questions"]:
            print(repr(q["question"]), "|", q["answer_truth"], "|", q["generated_text"], [f"{v:.3f}" for v in q["top_logits"][:3]])


@torch.no_grad()
def selftest(a):
    """The packed fast path against the transformers class, and a save/load round trip through from_pretrained."""
    import tempfile
    from transformers import LlavaOnevisionForConditionalGeneration
    torch.manual_seed(1)
    model = make_model(tiny=a.tiny).eval() if not a.ckpt else load_checkpoint(make_model(), a.ckpt).eval()
    for p in model.parameters():
        if p.ndim == 1 and not a.ckpt:
            p.add_(0.1 * torch.randn_like(p))
    tok = Tok(a.tok or a.ckpt)
    fast = Fast(model)
    px = torch.rand(1, 2, 3, 224, 224) * 2 - 1
    hf = model.model.get_video_features(px, return_dict=True).pooler_output
    mine = fast.vision(px[0])
    print("vision: relative difference", ((hf.view_as(mine) - mine).norm() / hf.norm()).item())
    items = [("What color is it?", "red one", "x", False), (mc_text("Which?", ["a", "b c"]), "B", "y", True), ("How many cars drive by?", "3", "z", False)]
    pk = pack([items], tok)
    lg = fast.lm_packed(torch.tensor(tok.prefix), mine.reshape(1, -1, hf.shape[-1]), pk["ids"], pk["off"], pk["seg"], pk["idx"])
    n = 0
    for it in items:
        t, a0 = tok.segment(it[0], it[1])
        ids = torch.tensor([tok.prefix + [BPE_ENTRIES + 4] * (mine.shape[0] * mine.shape[1] + 1) + t])
        ref = model(input_ids=ids, pixel_values_videos=px).logits[0, ids.shape[1] - len(t) + a0 - 1:-1]
        d = (ref - lg[n:n + len(ref)]).norm() / ref.norm()
        n += len(ref)
        print("language model: relative difference", d.item())
    with tempfile.TemporaryDirectory() as d:
        if a.tiny:
            model.save_pretrained(d)
        else:
            save_checkpoint(model, d, dtype=torch.float32)
            save_configs(d)
        m2 = LlavaOnevisionForConditionalGeneration.from_pretrained(d, dtype=torch.float32).eval()
        worst = max((p - q).abs().max().item() for p, q in zip(model.state_dict().values(), m2.state_dict().values()))
        print("save/load: largest difference", worst, "tied:", m2.lm_head.weight.data_ptr() == m2.get_input_embeddings().weight.data_ptr())


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("cmd", choices=["tokenizer", "train", "heldout", "eval", "reference", "selftest", "configs", "report", "captions"])
    ap.add_argument("--out"); ap.add_argument("--tok"); ap.add_argument("--ckpt"); ap.add_argument("--heldout"); ap.add_argument("--resume")
    ap.add_argument("--state"); ap.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    ap.add_argument("--seconds", type=float, default=500); ap.add_argument("--span", type=float, nargs=2, default=(0.0, 1.0))
    ap.add_argument("--stages", type=float, nargs=2, default=(0.10, 0.24)); ap.add_argument("--scale", type=float, default=1.0)
    ap.add_argument("--chunk", type=int, default=16); ap.add_argument("--pool", type=int, default=8); ap.add_argument("--questions", type=int, default=8); ap.add_argument("--text-len", type=int, default=320)
    ap.add_argument("--workers", type=int, default=12); ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--lr-muon", type=float, default=2e-3); ap.add_argument("--lr-adam", type=float, default=1.5e-3); ap.add_argument("--wd", type=float, default=0.05)
    ap.add_argument("--warmup", type=int, default=150); ap.add_argument("--aux", type=float, default=0.3); ap.add_argument("--aux-until", type=float, default=0.7)
    ap.add_argument("--log", type=int, default=50); ap.add_argument("--save-every", type=float, default=150); ap.add_argument("--max-steps", type=int, default=0)
    ap.add_argument("--profile", action="store_true"); ap.add_argument("--tiny", action="store_true"); ap.add_argument("--bf16", action="store_true")
    ap.add_argument("--quick-eval", type=int, default=0); ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--clips", type=int, default=0); ap.add_argument("--frames", type=int, default=8); ap.add_argument("--prune", action="store_true")
    ap.add_argument("--rows", type=int, default=400)
    a = ap.parse_args()
    if a.cmd == "tokenizer":
        train_tokenizer(a.out)
    elif a.cmd == "configs":
        save_configs(a.out)
    elif a.cmd == "train":
        train(a)
    elif a.cmd == "heldout":
        rows = heldout_rows(a.rows // 5 + 20)[:a.rows]
        json.dump(rows, open(a.out, "w"), indent=0)
        print(len(rows), "rows")
    elif a.cmd == "eval":
        evaluate(a)
    elif a.cmd == "report":
        rows = heldout_rows(a.clips, base=HELDOUT_BASE + 100_000) if a.clips else json.load(open(a.heldout))
        report(json.load(open(a.out)), rows)
    elif a.cmd == "reference":
        reference(a)
    elif a.cmd == "captions":
        caption_eval(a)
    elif a.cmd == "selftest":
        selftest(a)


if __name__ == "__main__":
    main()
